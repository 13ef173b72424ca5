import assert from "node:assert/strict";
import { openDevice } from "../../../engine/device.ts";
import { Random } from "../../../engine/rng.ts";
import {
  type HeadParams,
  PARTS,
  type RenderedFace,
  renderFaces,
  samplePerson,
  sampleShot,
  withoutParts,
} from "../../../faces/render/render.ts";
import { loadStyle } from "../../../faces/render/styles.ts";

/** Someone with everything that can be left out. */
function fullHead(): HeadParams {
  const person = samplePerson(new Random(5, "person")), shot = sampleShot(new Random(5, "shot"));
  return {
    person: {
      ...person,
      age: 0.9,
      cut: [0.15, -0.2, 1.2, 1.5],
      fall: [0.4, 0, 0, 0.05],
      marks: [0.9, 0.5, 0.6, 1],
      bends: person.bends.map(() => 0.05),
      throat: [0.8, 0.2, 0.4, 1],
      corner: [0.1, 0.3, 0.9, 0.2],
    },
    shot: {
      ...shot,
      light: [0.8, 0, -0.6],
      ground: [0.5, 0.4, 0.3],
      lights: [{ ...shot.lights[0], colour: [0.4, 0.4, 0.2] }, shot.lights[1]],
      worn: { ...shot.worn, hat: [1, -0.5, 0, 1], collar: [3, 0, 0.5, 0] },
      strands: 4,
      film: [0.7, 1.2],
      lens: [0.3, 0.02, 0.1, 0.2],
      grey: true,
    },
  };
}

async function draw(heads: readonly HeadParams[], convention?: "anatomy"): Promise<RenderedFace[]> {
  const device = await openDevice();
  try {
    return await renderFaces(
      device.gpu,
      heads,
      (await loadStyle("pipelines/styles/photo.yaml")).render,
      48,
      convention,
    );
  } finally {
    device.destroy();
  }
}

Deno.test("withoutParts() changes the image, and landmarks only where the shape of the head changes", async () => {
  const head = fullHead();
  const heads = [head, ...PARTS.map((part) => withoutParts(head, [part])), withoutParts(head, PARTS)];
  const [whole, ...others] = await draw(heads);
  const changed = others.map(({ image }) => image.data.some((byte, i) => Math.abs(byte - whole!.image.data[i]!) > 8));
  assert.deepEqual(changed, others.map(() => true));
  const moved = others.map(({ landmarks }) => landmarks.some((px, i) => px !== whole!.landmarks[i]));
  assert.deepEqual(PARTS.filter((_, i) => moved[i]), ["bends", "skin"]);
  assert.deepEqual(heads[0], fullHead(), "the head itself is not changed");
  assert.deepEqual(withoutParts(head, []), head);
});

Deno.test("anatomy has other places for the outline, the brows, the nose and the corners of eyes and mouth", async () => {
  const [head] = [fullHead()];
  const [[annotated], [plain]] = [await draw([head]), await draw([head], "anatomy")];
  // Both are measured from the lips, which are the same in both, in units of their width.
  const relative = ({ landmarks }: RenderedFace) => {
    const [x, y] = [landmarks[2 * 51]!, landmarks[2 * 51 + 1]!];
    const unit = Math.hypot(landmarks[2 * 49]! - landmarks[2 * 53]!, landmarks[2 * 49 + 1]! - landmarks[2 * 53 + 1]!);
    return landmarks.map((px, i) => (px - (i % 2 ? y : x)) / unit);
  };
  const [a, b] = [relative(annotated!), relative(plain!)];
  const far = (point: number) => Math.hypot(a[2 * point]! - b[2 * point]!, a[2 * point + 1]! - b[2 * point + 1]!);
  for (const point of [7, 9, 18, 25, 31, 36, 37, 45, 48, 60]) assert(far(point) > 0.005, `${point}: ${far(point)}`);
  for (const point of [50, 57, 66]) assert(far(point) < 1e-4, `${point}: ${far(point)}`);
});
