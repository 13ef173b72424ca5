import assert from "node:assert/strict";
import type { Image } from "../../../faces/data/image.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import {
  DEFAULT_POSE,
  type HeadParams,
  HeadSketch,
  type RenderedFace,
  renderFaces,
  samplePerson,
  sampleShot,
  WIDE_POSE,
} from "../../../faces/render/render.ts";
import { loadStyle, styleFiles, stylePrompt, type StyleRender } from "../../../faces/render/styles.ts";
import { openDevice } from "../../../engine/device.ts";
import { Random } from "../../../engine/rng.ts";

const files = ["pipelines/styles", "pipelines/styles/validation"].flatMap((dir) => styleFiles(dir, "all"));
const styles = new Map((await Promise.all(files.map(loadStyle))).map((style) => [style.name, style]));
const photo = styles.get("photo")!;
const SIZE = 96;

/** A hairless person before a green wall who looks into the camera, mouth open. */
function plainHead(yaw = 0): HeadParams {
  const person = samplePerson(new Random(3, "person"));
  for (const trait of Object.keys(person.shape)) person.shape[trait as keyof typeof person.shape] = 0;
  const shot = sampleShot(new Random(3, "shot"));
  const green = [0, 0.6, 0] as const;
  return {
    person: {
      ...person,
      skin: [0.8, 0.5, 0.4],
      lip: [0.55, 0.15, 0.14],
      hair: [0.02, 0.02, 0.02],
      cut: [0, 0, 0, 0],
      beard: [0, 0, 0],
      marks: [0, 0, 0, 0],
      lids: [0.03, 0.3, 0, 0, 0],
      makeup: { lash: 0.5, shadow: null, lips: 1 },
      bends: person.bends.map(() => 0),
      brow: 1,
      age: 0,
      neck: 0.6,
      throat: [0, 0.06, 0, 0.94],
      corner: [0, 0, 0, 0],
    },
    shot: {
      ...shot,
      open: 0.7,
      smile: 0,
      teeth: 0,
      stretch: 0,
      brow_raise: 0,
      frown: 0,
      skew: 0,
      eyes_open: [1.1, 1.1],
      gaze: [0, 0],
      pose: [yaw, 0, 0],
      light: [0, -0.3, 0.954],
      key: [0.8, 0.8, 0.8],
      ambient: [0.4, 0.4, 0.4],
      ground: [0.2, 0.2, 0.2],
      sharpness: 3,
      lights: [{ ...shot.lights[0], colour: [0, 0, 0] }, { ...shot.lights[1], colour: [0, 0, 0] }],
      worn: { ...shot.worn, hat: [0, 0, 0, 1], scarf: 0, hand: [0, 0, 0], collar: [0, 0, 0, 0] },
      strands: 0,
      film: [0.75, 1.18],
      background: { kind: 0, low: green, high: green },
      lens: [0, 0, 0, 0],
      frame: [1, 0, 0],
      grey: false,
    },
  };
}

async function draw(...heads: HeadParams[]): Promise<RenderedFace[]> {
  const device = await openDevice();
  const faces = await renderFaces(device.gpu, heads, photo.render, SIZE);
  device.check();
  device.destroy();
  return faces;
}

function colour({ width, data }: Image, x: number, y: number): [number, number, number] {
  const at = (Math.round(y) * width + Math.round(x)) * 3;
  return [data[at]!, data[at + 1]!, data[at + 2]!];
}
const lightness = ([r, g, b]: readonly number[]): number => 0.3 * r! + 0.59 * g! + 0.11 * b!;
const isWall = ([r, g]: readonly number[]): boolean => g! > r! + 30;

function mean({ landmarks }: RenderedFace, ...points: number[]): [number, number] {
  const at = (axis: number): number => points.reduce((sum, p) => sum + landmarks[2 * p + axis]!, 0) / points.length;
  return [at(0), at(1)];
}

Deno.test("renderFaces() puts landmarks on what is drawn", async () => {
  const [face, turned] = await draw(plainHead(), plainHead(0.6)) as [RenderedFace, RenderedFace];
  const light = (...points: number[]): number => lightness(colour(face.image, ...mean(face, ...points)));
  const cheek = light(31, 48, 4);
  assert(light(37, 38, 40, 41) < cheek * 0.6, "an iris lies between the lids of the left eye");
  assert(light(43, 44, 46, 47) < cheek * 0.6, "an iris lies between the lids of the right eye");
  assert(light(62, 66) < cheek * 0.5, "the open mouth is dark");
  for (const brow of [18, 19, 20, 23, 24, 25]) {
    const [x, y] = mean(face, brow);
    const at = (px: number): number => lightness(colour(face.image, x, y + px));
    assert(at(1) < at(-3) * 0.8, `the upper edge of the brow passes through ${brow}`);
  }
  for (const point of [51, 57]) {
    const [r, g] = colour(face.image, ...mean(face, point, point === 51 ? 62 : 66));
    assert(r / g > 1.3, `there is a lip between ${point} and the mouth`);
  }
  for (const [shown, sides] of [[face, [2, 3, 4, 12, 13, 14]], [turned, [11, 12, 13, 14]]] as const) {
    const [cx, cy] = mean(shown, 2, 14, 33);
    for (const point of sides) {
      const [x, y] = mean(shown, point);
      const far = Math.hypot(x - cx, y - cy);
      const along = (px: number) => colour(shown.image, x + (x - cx) / far * px, y + (y - cy) / far * px);
      assert(isWall(along(3)) && !isWall(along(-3)), `the outline of the face passes through ${point}`);
    }
  }
});

Deno.test("renderFaces() mirrors: a head turned the other way has mirrored landmarks", async () => {
  const [left, right] = await draw(plainHead(-0.5), plainHead(0.5)) as [RenderedFace, RenderedFace];
  for (let i = 0; i < 68; i++) {
    const j = SCHEMAS.ibug68.mirror[i]!;
    const [x, y] = mean(left, i);
    assert(Math.abs(x - (SIZE - 1 - right.landmarks[2 * j]!)) < 0.6, `x of ${i}`);
    assert(Math.abs(y - right.landmarks[2 * j + 1]!) < 0.6, `y of ${i}`);
  }
});

Deno.test("renderFaces() gives the same bytes again, and the same face at any size", async () => {
  const heads = [0, 1].map((i) => ({
    person: samplePerson(new Random(1, "p").at(i)),
    shot: sampleShot(new Random(1, "s").at(i)),
  }));
  const first = await draw(...heads);
  assert.deepEqual(await draw(...heads), first);
  const device = await openDevice();
  const [small] = await renderFaces(device.gpu, heads.slice(0, 1), photo.render, SIZE / 2);
  device.destroy();
  small!.landmarks.forEach((v, i) => assert(Math.abs((v + 0.5) * 2 - 0.5 - first[0]!.landmarks[i]!) < 0.05));
});

Deno.test("HeadSketch draws what renderFaces() draws, whatever style it drew before", async () => {
  const device = await openDevice();
  const head = { person: samplePerson(new Random(1, "p")), shot: sampleShot(new Random(1, "s")) };
  {
    using sketch = new HeadSketch(device.gpu, head, 32);
    for (const name of ["photo", "ink", "oil_painting", "anime", "oil_painting", "photo"]) {
      const { render } = styles.get(name)!;
      assert.deepEqual([await sketch.draw(render)], await renderFaces(device.gpu, [head], render, 32), name);
    }
    const { render } = photo, pale = { ...render, shade: { ...render.shade, side: 1 } };
    assert.notDeepEqual(await sketch.draw(pale), await sketch.draw(render));
    assert.deepEqual([await sketch.draw(pale)], await renderFaces(device.gpu, [head], pale, 32));
  }
  device.destroy();
});

Deno.test("sampleShot() turns heads as far as asked, with heavy tails in wide poses", () => {
  const yaws = (pose: typeof WIDE_POSE): number[] =>
    Array.from(
      { length: 2000 },
      (_, i) => Math.abs(sampleShot(new Random(2, "turn").at(i), pose).pose[0]) * 180 / Math.PI,
    )
      .sort((a, b) => a - b);
  const [wide, usual] = [yaws(WIDE_POSE), yaws(DEFAULT_POSE)];
  assert(
    wide.at(-1)! < 75.01 && wide[1900]! > 48 && wide[1000]! < 20,
    "half of the heads are near the front, some in profile",
  );
  assert(usual.at(-1)! < 40.01 && usual[1900]! < 35);
});

Deno.test("renderFaces() spaces the points of the outline evenly on each side, in any pose", async () => {
  const heads = Array.from({ length: 12 }, (_, i) => ({
    person: samplePerson(new Random(4, "p").at(i)),
    shot: sampleShot(new Random(4, "s").at(i), WIDE_POSE),
  }));
  for (const { landmarks } of await draw(...heads)) {
    for (const first of [0, 8]) {
      const gaps = Array.from({ length: 8 }, (_, i) => {
        const at = 2 * (first + i);
        return Math.hypot(landmarks[at + 2]! - landmarks[at]!, landmarks[at + 3]! - landmarks[at + 1]!);
      });
      const mean = gaps.reduce((sum, gap) => sum + gap, 0) / 8;
      assert(gaps.filter((gap) => Math.abs(gap / mean - 1) < 0.15).length >= 6, gaps.join());
    }
  }
});

Deno.test("renderFaces() draws every style, with all landmarks in the picture", async () => {
  const device = await openDevice();
  const heads = [4, 5].map((i) => ({
    person: samplePerson(new Random(1, "p").at(i)),
    shot: sampleShot(new Random(1, "s").at(i)),
  }));
  const pictures = new Map<string, Image>();
  for (const style of styles.values()) {
    for (const { image, landmarks } of await renderFaces(device.gpu, heads, style.render, 32)) {
      assert(landmarks.every((v) => v >= 0 && v <= 31), `landmarks of ${style.name}`);
      assert(new Set(image.data).size > 8, `${style.name} has tones`);
      pictures.set(style.name, image);
    }
  }
  device.check();
  device.destroy();
  const different = new Set([...pictures.values()].map(({ data }) => data.join()));
  assert.equal(different.size, styles.size);
});

/** A plain head in the style photo with other values. */
async function drawAs(change: (render: StyleRender) => void): Promise<RenderedFace> {
  const render = structuredClone(photo.render);
  change(render);
  const device = await openDevice();
  const [face] = await renderFaces(device.gpu, [plainHead()], render, SIZE);
  device.check();
  device.destroy();
  return face!;
}

Deno.test("renderFaces() gives people the colours of a style, and leaves their landmarks", async () => {
  const plain = await drawAs(() => {});
  const painted = await drawAs(({ colours }) => {
    colours.skin = ["#2030ff"];
    colours.cloth = ["#ff0000"];
  });
  const blushing = await drawAs(({ colours }) => colours.blush = 3);
  for (const face of [painted, blushing]) assert.deepEqual(face.landmarks, plain.landmarks);
  const forehead = ({ landmarks }: RenderedFace): [number, number] => [landmarks[54]!, landmarks[55]! - 12];
  const [r, , b] = colour(painted.image, ...forehead(painted));
  assert(b > r + 60, "the skin is blue");
  const [red, green] = colour(painted.image, SIZE / 2, SIZE - 1);
  assert(red > green + 60, "the clothes are red");
  const cheek = (face: RenderedFace) => colour(face.image, ...mean(face, 31, 31, 48, 3));
  const [was, is] = [cheek(plain), cheek(blushing)];
  assert(is[0] / is[1] > was[0] / was[1] + 0.1, "cheeks are redder");
});

Deno.test("renderFaces() hides the jaw below cloth, hair and fat, paints beyond the eye corner, and leaves landmarks", async () => {
  const head = plainHead();
  const dressed = (worn: Partial<HeadParams["shot"]["worn"]>): HeadParams => ({
    ...head,
    shot: { ...head.shot, worn: { ...head.shot.worn, linen: [0.02, 0.02, 0.9], ...worn } },
  });
  const born = (person: Partial<HeadParams["person"]>): HeadParams => ({
    ...head,
    person: { ...head.person, ...person },
  });
  const [plain, polo, shirt, ruff, hood, beard, fat, wing] = await draw(
    head,
    dressed({ collar: [1, -0.1, 0.5, 0] }),
    dressed({ collar: [2, 0.02, 0.5, 0] }),
    dressed({ collar: [3, -0.04, 0.5, 0] }),
    dressed({ hat: [4, -0.4, 0, 1], collar: [0, 0, 0, 0.6], colour: [0.02, 0.02, 0.9] }),
    born({ throat: [0, 0.06, 0.3, 0.94] }),
    born({ throat: [1, 0.2, 0, 0.94] }),
    born({ corner: [0.12, 0.2, 1, 0] }),
  ) as RenderedFace[];
  for (const face of [polo, shirt, ruff, hood, beard, fat, wing]) assert.deepEqual(face!.landmarks, plain!.landmarks);
  const eye = Math.abs(plain!.landmarks[90]! - plain!.landmarks[72]!);
  /** A pixel at so many eye distances from a landmark. */
  const near = ({ image, landmarks }: RenderedFace, point: number, dx: number, dy: number) =>
    colour(image, landmarks[2 * point]! + dx * eye, landmarks[2 * point + 1]! + dy * eye);
  const isBlue = ([r, , b]: readonly number[]): boolean => b! > r! + 30;
  for (const face of [polo, ruff]) assert(isBlue(near(face!, 8, 0, 0.12)), "cloth is at the chin");
  assert(!isBlue(near(plain!, 8, 0, 0.12)));
  assert(isBlue(near(shirt!, 8, -0.45, 0.3)) && isBlue(near(shirt!, 8, 0.45, 0.3)), "a collar is beside the neck");
  for (const point of [1, 2, 14, 15]) assert(isBlue(near(hood!, point, 0, 0)), `cloth is over landmark ${point}`);
  assert(lightness(near(beard!, 8, 0, 0)) < 0.4 * lightness(near(plain!, 8, 0, -0.1)), "hair is over the chin");
  const beyond = (face: RenderedFace) => lightness(near(face, 36, -0.06, -0.01));
  assert(beyond(wing!) < 0.7 * beyond(plain!), "make-up is beyond the corner of the eye");
  const below = (face: RenderedFace) => near(face, 6, -0.05, 0.08);
  assert.notDeepEqual(below(fat!), below(plain!), "a second chin is below the jaw");
});

Deno.test("renderFaces() lights from the side and from behind, leaves paper bare in the corners and cracks paint", async () => {
  const cheeks = (face: RenderedFace) =>
    [[2, 31, 48], [14, 35, 54]].map((points) => lightness(colour(face.image, ...mean(face, ...points))));
  const [even, side, rim, bare, cracked] = [
    await drawAs(() => {}),
    await drawAs(({ shade }) => shade.side = 1),
    await drawAs(({ shade }) => shade.rim = 2),
    await drawAs(({ paper }) => paper.bare = 1),
    await drawAs(({ paper }) => paper.cracks = 1),
  ];
  for (const face of [side, rim, bare, cracked]) assert.deepEqual(face.landmarks, even.landmarks);
  const apart = (face: RenderedFace): number => Math.abs(cheeks(face)[0]! - cheeks(face)[1]!);
  assert(apart(side) > apart(even) + 30, "one cheek is dark");
  const total = ({ image }: RenderedFace): number => image.data.reduce((sum, v) => sum + v, 0);
  assert(total(rim) > total(even) * 1.01, "edges shine");
  assert(isWall(colour(even.image, 2, 2)) && !isWall(colour(bare.image, 2, 2)), "a corner is paper");
  assert.deepEqual(colour(bare.image, SIZE / 2, SIZE / 2), colour(even.image, SIZE / 2, SIZE / 2));
  const share = (is: (was: number, now: number) => boolean): number => {
    const { data } = even.image;
    return data.filter((was, i) => is(was, cracked.image.data[i]!)).length / data.length;
  };
  assert.equal(share((was, now) => now > was), 0, "cracks are dark");
  const [untouched, dark] = [share((was, now) => now === was), share((was, now) => now < 0.7 * was)];
  assert(untouched > 0.4 && dark > 0.02, `${untouched} untouched, ${dark} cracked`);
});

Deno.test("renderFaces() draws a line along the nose where outlines follow folds, and leaves brows and eyes as they are", async () => {
  const device = await openDevice();
  const drawn = async (folds: number) => {
    const render = structuredClone(styles.get("line_art")!.render);
    render.line.folds = folds;
    const [face] = await renderFaces(device.gpu, [plainHead(0.35)], render, SIZE);
    return face!;
  };
  const [plain, folded] = [await drawn(0), await drawn(1)];
  device.destroy();
  assert.deepEqual(folded.landmarks, plain.landmarks);
  /** Lines from one landmark to the other, up to six pixels beside. */
  const ink = (face: RenderedFace, from: number, to: number) => {
    let sum = 0;
    for (let t = 0; t <= 1; t += 0.05) {
      const [[x0, y0], [x1, y1]] = [mean(face, from), mean(face, to)];
      for (let beside = -6; beside <= 6; beside++) {
        sum += 255 - lightness(colour(face.image, x0 + (x1 - x0) * t + beside, y0 + (y1 - y0) * t));
      }
    }
    return sum;
  };
  assert(ink(folded, 28, 30) > 1.5 * ink(plain, 28, 30), `${ink(folded, 28, 30)} and ${ink(plain, 28, 30)}`);
  // Lips have relief too, brows and lids have none.
  for (const [from, to] of [[17, 21], [36, 39]] as const) {
    assert(ink(folded, from, to) < 1.1 * ink(plain, from, to), `landmarks ${from} to ${to} are as they were`);
  }
});

Deno.test("renderFaces() draws noses as one line, and jaws without a line, where landmarks stay", async () => {
  const device = await openDevice();
  const drawn = async (change: (render: StyleRender) => void): Promise<RenderedFace> => {
    const render = structuredClone(styles.get("line_art")!.render);
    render.shape.nostril = 0;
    Object.assign(render.line, { feature: 0.006, wobble: 0 });
    change(render);
    const [face] = await renderFaces(device.gpu, [plainHead(0.35)], render, SIZE);
    return face!;
  };
  const plain = await drawn(() => {});
  const other = {
    ridge: await drawn(({ line }) => line.nose = "ridge"),
    hook: await drawn(({ line }) => line.nose = "hook"),
    base: await drawn(({ line }) => line.nose = "base"),
    no_jaw: await drawn(({ line }) => line.jaw = false),
  };
  device.check();
  device.destroy();
  for (const face of Object.values(other)) assert.deepEqual(face.landmarks, plain.landmarks);
  /** Darkness along a way over landmarks. */
  const ink = (face: RenderedFace, ...way: number[]): number => {
    let sum = 0;
    for (let i = 1; i < way.length; i++) {
      const [[x0, y0], [x1, y1]] = [mean(face, way[i - 1]!), mean(face, way[i]!)];
      for (let t = 0; t <= 1; t += 0.1) {
        const at = [-1, 0, 1].map((dx) => lightness(colour(face.image, x0 + (x1 - x0) * t + dx, y0 + (y1 - y0) * t)));
        sum += 255 - Math.min(...at);
      }
    }
    return sum;
  };
  const [line, none] = [ink(other.ridge, 28, 29), ink(plain, 28, 29)];
  assert(line > 2 * none, `a line down the ridge: ${line}, ${none}`);
  assert(ink(other.hook, 28, 29) < 0.5 * line, "the end of it alone");
  assert(ink(other.base, 28, 29) < 0.5 * line, "no line down the ridge");
  const jaw = [5, 6, 7, 8, 9];
  assert(ink(other.no_jaw, ...jaw) < 0.6 * ink(plain, ...jaw), `${ink(other.no_jaw, ...jaw)}, ${ink(plain, ...jaw)}`);
});

Deno.test("renderFaces() opens mouths farther, bends them down and rounds eyes, and landmarks follow", async () => {
  const changes: Partial<StyleRender["shape"]>[] = [
    {},
    { mouth_open: 1.8 },
    { mouth_curve: -0.1 },
    { eye_round: 0.3 },
    { teeth: 3 },
    { brow_length: 0.5, nose_tip: 0.12 },
    { nose_depth: 3, nose_width: 3, face_length: 3, mouth_width: 3 },
  ];
  const middle = { ...photo.render, landmarks: { ...photo.render.landmarks, eye_ends: 0 } }; // lids are roundest in the middle
  const renders = changes.map((shape) => ({ ...middle, shape: { ...photo.render.shape, ...shape } }));
  renders.push({ ...middle, colours: { ...photo.render.colours, eye_white: 0 } });
  const device = await openDevice();
  const { person, shot } = plainHead();
  const heads = renders.map(() => ({ person, shot: { ...shot, teeth: 0.7 } }));
  const faces = await renderFaces(device.gpu, heads, renders, SIZE);
  device.check();
  device.destroy();
  const [plain, open, down, round, toothy, actor, huge, dark] = faces as [
    RenderedFace,
    ...[RenderedFace, RenderedFace, RenderedFace, RenderedFace, RenderedFace, RenderedFace, RenderedFace],
  ];
  const y = ({ landmarks }: RenderedFace, point: number): number => landmarks[2 * point + 1]!;
  const inNoses = (face: RenderedFace, px: number): number => px / (y(face, 33) - y(face, 27));
  const gap = (face: RenderedFace): number => inNoses(face, y(face, 66) - y(face, 62));
  assert(gap(open) > 1.4 * gap(plain), `${gap(open)}, ${gap(plain)}`);
  const sag = (face: RenderedFace): number => inNoses(face, mean(face, 62, 66)[1] - mean(face, 48, 54)[1]);
  assert(sag(down) < sag(plain) - 0.15, `${sag(down)}, ${sag(plain)}`);
  assert(y(round, 41) - y(round, 37) > (y(plain, 41) - y(plain, 37)) * 1.02);
  const brow = ({ landmarks }: RenderedFace): number => landmarks[2 * 21]! - landmarks[2 * 17]!;
  assert(brow(actor) < 0.6 * brow(plain), `${brow(actor)}, ${brow(plain)}`);
  const drop = (face: RenderedFace): number => inNoses(face, y(face, 33) - y(face, 30));
  assert(drop(actor) < drop(plain) - 0.1, `${drop(actor)}, ${drop(plain)}`);
  for (const face of [toothy, dark]) {
    assert.deepEqual(face.landmarks, plain.landmarks);
    assert.notDeepEqual(face.image, plain.image);
  }
  assert(huge.landmarks.every((v) => v >= 0 && v <= SIZE - 1));
  assert(
    y(huge, 30) < y(huge, 33) && y(huge, 33) < y(huge, 51) && y(huge, 57) < y(huge, 8),
    "features keep their order",
  );
});

Deno.test("renderFaces() puts landmarks where a style says annotators do, and draws the same", async () => {
  const device = await openDevice();
  const at = (landmarks: Partial<StyleRender["landmarks"]>): StyleRender => ({
    ...photo.render,
    landmarks: { eye_ends: 0, near_edge: 0, brow_ends: 0, nose_side: 0, ...landmarks },
  });
  const front = plainHead(), turned = plainHead(0.6);
  const drawn = at({ brow_ends: 0.2, nose_side: 1 });
  const [wide, narrow, short, plain, inside, other, line] = await renderFaces(
    device.gpu,
    [front, front, front, turned, turned, plainHead(-0.6), turned],
    [at({}), at({ eye_ends: 0.1 }), drawn, at({}), at({ near_edge: 0.2 }), at({ near_edge: 0.2 }), drawn],
    SIZE,
  ) as [RenderedFace, RenderedFace, RenderedFace, RenderedFace, RenderedFace, RenderedFace, RenderedFace];
  device.check();
  device.destroy();
  for (const { image } of [narrow, short]) {
    const change = wide.image.data.reduce((sum, v, i) => sum + Math.abs(v - image.data[i]!), 0);
    assert(change < image.data.length / 2, `the crop stays, but for the inset of the outline: ${change}`);
  }
  const distance = (a: RenderedFace, i: number, b: RenderedFace, j: number): number =>
    Math.hypot(...[0, 1].map((axis) => a.landmarks[2 * i + axis]! - b.landmarks[2 * j + axis]!));
  for (let point = 0; point < 68; point++) {
    if (point < 36 || point > 47) assert(distance(wide, point, narrow, point) < 0.05, `landmark ${point}`);
  }
  for (const [outer, inner] of [[36, 39], [45, 42]] as const) {
    const share = distance(narrow, outer, narrow, inner) / distance(wide, outer, wide, inner);
    assert(share > 0.88 && share < 0.92, `${share}`);
  }

  // Of a face turned to the image's left the near edge is at its right, of one turned to its right at its left; the crop
  // follows it, so places are told from the eyes.
  const across = ({ landmarks }: RenderedFace, point: number): number =>
    (landmarks[2 * point]! - (landmarks[72]! + landmarks[90]!) / 2) / (landmarks[90]! - landmarks[72]!);
  const near = across(plain, 16) > -across(plain, 0) ? [16, 15, 14] : [0, 1, 2];
  for (const point of near) {
    const change = Math.abs(across(plain, point)) - Math.abs(across(inside, point));
    assert(change > 0.08 && change < 0.5, `landmark ${point}: ${change}`);
  }
  for (const point of near.map((i) => 16 - i)) {
    assert(Math.abs(across(inside, point) - across(plain, point)) < 0.01, `landmark ${point}`);
  }
  for (const point of near) {
    assert(Math.abs(across(other, 16 - point) + across(inside, point)) < 0.05, `landmark ${point}`);
  }

  // Brows end short, of a turned face the far one more; the base of its nose, but for its ends, moves to the far side.
  const left = near[0] === 0;
  const brow = (face: RenderedFace, first: number): number =>
    [0, 1, 2, 3].reduce((sum, i) => sum + distance(face, first + i, face, first + i + 1), 0);
  for (const first of [17, 22]) {
    const share = brow(short, first) / brow(wide, first);
    assert(share > 0.75 && share < 0.85, `${share}`);
  }
  const [nearShare, farShare] = (left ? [17, 22] : [22, 17]).map((first) => brow(line, first) / brow(plain, first));
  assert(farShare! < 0.9 * nearShare!, `${farShare}, ${nearShare}`);
  const [base, outwards] = left ? [[31, 32, 33, 34, 35], 1] as const : [[35, 34, 33, 32, 31], -1] as const;
  const moves = base.map((point) => outwards * (across(line, point) - across(plain, point)));
  assert(Math.abs(moves[0]!) < 0.01 && moves.slice(1, 4).every((move) => move > 0.02), `${moves}`);
  for (let point = 0; point < 68; point++) {
    if (point < 17 || (point > 26 && point < 36)) {
      assert(distance(short, point, wide, point) < 0.05, `landmark ${point} of a face from the front`);
    }
  }
});

Deno.test("renderFaces() refuses sizes that it cannot draw", async () => {
  const device = await openDevice();
  await assert.rejects(renderFaces(device.gpu, [], photo.render, 8), { message: /^Cannot draw faces at size_px 8: / });
  device.destroy();
});

Deno.test("there are at least 25 styles, of which at least 4 are to test on, each with a prompt that names it", () => {
  assert(styles.size >= 25);
  assert([...styles.values()].filter(({ split }) => split === "test").length >= 4);
  for (const style of styles.values()) assert(stylePrompt(style).includes(style.style), style.name);
  assert.equal(new Set([...styles.values()].map(({ style }) => style)).size, styles.size);
});

Deno.test("loadStyle() names the key that is wrong", async () => {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(path, "style: x\ndoc: X.\nrender: { line: { outline: 2 } }\n");
    await assert.rejects(
      loadStyle(path),
      /:3:28: Cannot read "render\.line\.outline" in the style as it must be a number from 0 to 0\.05: current value is 2/,
    );
    await Deno.writeTextFile(path, "");
    await assert.rejects(loadStyle(path), /:1:1: Cannot read the style as it must be a map with style, doc, /);
    await Deno.writeTextFile(path, 'style: x\ndoc: X.\nrender: { palette: { kind: nearest, colours: ["#000000"] } }\n');
    await assert.rejects(loadStyle(path), /:3:46: Cannot use the palette "nearest" with 1 colours: it needs 2 to 8/);
  } finally {
    await Deno.remove(path);
  }
});
