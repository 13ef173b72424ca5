import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import type { Faces } from "../../../faces/data/dataset.ts";
import { similarity, transformLandmarks } from "../../../faces/landmarks.ts";
import { createCanvas } from "../../../faces/scenes/canvas.ts";
import { drawRound } from "../../../faces/scenes/clutter.ts";
import { composeScene, sceneImage } from "../../../faces/scenes/scene.ts";
import { spoil } from "../../../faces/scenes/spoil.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { neutralFace } from "../neutral_face.ts";

const PX = 48;

/** Grey pictures of turned faces, white above the nose and black below it. */
function twoTone(count: number): Faces {
  const images = new Uint8Array(count * PX * PX * 3).fill(128);
  const landmarks = new Float32Array(count * 136);
  for (let k = 0; k < count; k++) {
    const angle = 0.6 * (k / count - 0.5);
    const face = transformLandmarks(neutralFace(PX), similarity([PX / 2, PX / 2], 0.9, angle));
    landmarks.set(face, k * 136);
    const [cx, cy] = [face[60]!, face[61]!];
    for (let y = 0; y < PX; y++) {
      for (let x = 0; x < PX; x++) {
        const down = (y - cy) * Math.cos(angle) - (x - cx) * Math.sin(angle);
        if (Math.hypot(x - cx, y - cy) < PX / 3) {
          images.fill(down > 0 ? 0 : 255, ((k * PX + y) * PX + x) * 3, ((k * PX + y) * PX + x) * 3 + 3);
        }
      }
    }
  }
  return { images, landmarks, schema: SCHEMAS.ibug68, size_px: PX };
}

const random = new Random(1, "scene_test");

Deno.test("composeScene() is a function of its random numbers", () => {
  const faces = [twoTone(4), twoTone(2)];
  const scene = (k: number) => composeScene(faces, [1, 2], random.at(k), { side: 96 });
  assert.deepEqual(scene(3), scene(3));
  assert.notDeepEqual(scene(3).pixels, scene(4).pixels);
  assert.equal(scene(3).pixels.length, 96 * 96 * 3);
  for (let k = 0; k < 20; k++) {
    const { pixels } = scene(k);
    assert.ok(pixels.every((value) => value >= -1 && value <= 1));
    assert.equal(sceneImage({ pixels }, 96).data.length, 96 * 96 * 3);
  }
});

Deno.test("composeScene() knows where the faces are and how they are turned", () => {
  const faces = [twoTone(8)];
  const found = [];
  for (let k = 0; k < 150; k++) {
    const side = 160;
    const { pixels, faces: those } = composeScene(faces, [1], random.at(k), { side, empty: 0 });
    const luma = (x: number, y: number) => pixels[(Math.round(y) * side + Math.round(x)) * 3 + 1]!;
    for (const { x, y, side: size, angle, visible, counts } of those) {
      assert.ok(
        visible > 0 && visible <= 1 &&
          (counts || visible < 0.5 || size < 11 || Math.max(x, y) > 159 || Math.min(x, y) < 0),
      );
      if (!counts || visible < 0.97 || size < 16) continue;
      // The nose lies near the centre: white is above, where the angle says, and black below.
      const step = 0.22 * size, u = -Math.sin(angle) * step, v = Math.cos(angle) * step;
      if (Math.min(x, y) < step || Math.max(x, y) > side - 1 - step) continue;
      found.push(luma(x - u, y - v) > luma(x + u, y + v));
    }
  }
  const right = found.filter((ok) => ok).length / found.length;
  assert.ok(found.length > 60 && right > 0.95, `${right} of ${found.length}`);
});

Deno.test("composeScene() makes scenes without a face, and with many", () => {
  const faces = [twoTone(3)];
  const counts = (empty: number) =>
    Array.from({ length: 60 }, (_, k) => composeScene(faces, [1], random.at(k), { side: 96, empty }).faces.length);
  assert.ok(counts(1).every((count) => count === 0));
  const some = counts(0);
  assert.ok(some.filter((count) => count === 0).length <= 1 && Math.max(...some) > 5);
});

Deno.test("composeScene() turns faces by any angle, fills pictures with some, and leaves grey beside others", () => {
  const faces = [twoTone(3)], side = 96;
  const all = Array.from({ length: 200 }, (_, k) => composeScene(faces, [1], random.at(1000 + k), { side, empty: 0 }));
  const counted = all.flatMap(({ faces }) => faces.filter(({ counts }) => counts));
  const share = (fits: (face: (typeof counted)[number]) => boolean) => counted.filter(fits).length / counted.length;
  for (const [low, high] of [[45, 135], [-135, -45], [135, 225]] as const) {
    const within = share(({ angle }) => {
      const degrees = angle * 180 / Math.PI;
      return [degrees, degrees + 360].some((at) => at >= low && at < high);
    });
    assert.ok(within > 0.1 && within < 0.25, `${within} of the angles are from ${low} to ${high} degrees`);
  }
  assert.ok(share(({ side: size }) => size > 0.7 * side) > 0.02);
  const grey = all.filter(({ pixels }) => pixels.subarray(-3).every((value) => value === 0)).length / all.length;
  assert.ok(grey > 0.2 && grey < 0.4, `${grey} of the scenes are smaller`);
  for (const { faces, pixels } of all) {
    for (const { counts, x, y } of faces) {
      const at = (Math.round(y) * side + Math.round(x)) * 3;
      if (counts) assert.ok(pixels.subarray(at, at + 3).some((value) => value !== 0), "a face is beyond the picture");
    }
  }
});

Deno.test("drawRound() paints something round within its bounds, and nothing elsewhere", () => {
  const { images } = twoTone(1), side = 64;
  const image = { width: PX, height: PX, data: images };
  for (let k = 0; k < 30; k++) {
    const canvas = createCanvas(side);
    drawRound(canvas, random.at(k), { x: 32, y: 32, reach: 12 }, image, 5);
    const painted = canvas.owners.reduce((sum, owner) => sum + (owner === 5 ? 1 : 0), 0);
    assert.ok(painted > 0.25 * Math.PI * 12 * 12, `${painted} pixels`);
    assert.equal(canvas.owners[32 * side + 32], 5);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        if (Math.hypot(x - 32, y - 32) > 30) assert.equal(canvas.owners[y * side + x], 0);
      }
    }
    assert.ok(canvas.pixels.every((value) => value >= -1 && value <= 1));
  }
});

Deno.test("spoil() leaves the size, and changes the middle of the face", () => {
  const { images, landmarks } = twoTone(1);
  const image = { width: PX, height: PX, data: images };
  for (let k = 0; k < 40; k++) {
    const spoilt = spoil(image, landmarks, random.at(k));
    assert.deepEqual([spoilt.width, spoilt.height, spoilt.data.length], [PX, PX, images.length]);
    const changed = spoilt.data.filter((value, i) => value !== images[i]).length / images.length;
    assert.ok(changed > 0.03, `${changed}`);
  }
});
