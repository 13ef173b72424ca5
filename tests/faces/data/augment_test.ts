import assert from "node:assert/strict";
import { augment, augmentation } from "../../../faces/data/augment.ts";
import { blur } from "../../../faces/data/blur.ts";
import { applyGamma } from "../../../faces/data/recolour.ts";
import { faceBox, interocular } from "../../../faces/landmarks.ts";
import { Random } from "../../../engine/rng.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { neutralFace } from "../neutral_face.ts";

const SIDE = 64;
const still = { flip: 0, rotation: 0, scale: 0, shift: 0, colour: 0, grey: 0, noise: 0, occlusion: 0 };

/** A black picture with a bright bell of a few pixels about a point. */
function bell(side: number, [x, y]: readonly [number, number]): Uint8Array {
  return Uint8Array.from({ length: side * side * 3 }, (_, k) => {
    const [i, j] = [Math.floor(k / 3) % side, Math.floor(k / 3 / side)];
    return Math.round(255 * Math.exp(-((i - x) ** 2 + (j - y) ** 2) / (side / 16) ** 2));
  });
}

/** Centre of the light in a picture of values from -1 to 1. */
function centre(out: Float32Array, side: number): [number, number] {
  let [x, y, sum] = [0, 0, 0];
  for (let k = 0; k < out.length; k += 3) {
    const light = Math.max(0, out[k]! + 0.7);
    x += light * (k / 3 % side);
    y += light * Math.floor(k / 3 / side);
    sum += light;
  }
  return [x / sum, y / sum];
}

/** The pixel of the most light, between its neighbours by a parabola. */
function brightest(out: Float32Array, side: number): [number, number] {
  let top = 0;
  for (let k = 0; k < out.length; k += 3) if (out[k]! > out[top]!) top = k;
  const peak = (step: number) => {
    const [before, at, after] = [out[top - step] ?? -1, out[top]!, out[top + step] ?? -1];
    return (before - after) / (2 * (before - 2 * at + after) || 1);
  };
  return [top / 3 % side + peak(3), Math.floor(top / 3 / side) + peak(3 * side)];
}

Deno.test("augment() moves the landmarks as it moves the picture, resampled to any size", () => {
  const face = neutralFace(SIDE);
  const options = augmentation.parse({ colour: 0, noise: 0, occlusion: 0 });
  for (let step = 0; step < 40; step++) {
    // A landmark that keeps its number in the mirror image.
    const image = bell(SIDE, [face[60]!, face[61]!]);
    for (const [to, how] of [[SIDE, options], [40, options], [40, null]] as const) {
      const out = new Float32Array(to * to * 3);
      const moved = augment(image, SIDE, face, SCHEMAS.ibug68, new Random(1, "augment", step), how, to, out);
      const [x, y] = centre(out, to);
      assert.ok(
        Math.hypot(x - moved[60]!, y - moved[61]!) < 0.25,
        `step ${step}: ${[x, y]} is not ${moved[60]}, ${moved[61]}`,
      );
    }
  }
});

Deno.test("augment() bends the picture about the landmarks as it bends those, and frames the face anew", () => {
  const face = neutralFace(SIDE);
  const out = new Float32Array(SIDE * SIDE * 3);
  const framed = faceBox(face);
  let [most, least] = [1, 1];
  for (let step = 0; step < 60; step++) {
    for (const point of [30, 36, 8, 48]) {
      const image = bell(SIDE, [face[2 * point]!, face[2 * point + 1]!]);
      const moved = augment(
        image,
        SIDE,
        face,
        SCHEMAS.ibug68,
        new Random(4, "augment", step),
        { ...still, bend: 0.15 },
        SIDE,
        out,
      );
      // A bell grows and shrinks with what it lies on, and its centre of light moves a little when it does so unevenly.
      const [x, y] = brightest(out, SIDE);
      const off = Math.hypot(x - moved[2 * point]!, y - moved[2 * point + 1]!);
      assert.ok(off < 1, `step ${step}, point ${point}: ${[x, y]} is ${off} from the landmark`);
      const box = faceBox(moved);
      for (const key of ["x", "y", "side"] as const) assert.ok(Math.abs(box[key] - framed[key]) < 1e-2);
      const eyes = interocular(moved, SCHEMAS.ibug68) / interocular(face, SCHEMAS.ibug68);
      [most, least] = [Math.max(most, eyes), Math.min(least, eyes)];
    }
  }
  assert.ok(most > 1.2 && least < 0.8, `eyes ${least} to ${most} times as far apart`);
});

Deno.test("augment() warps and stretches the picture as it does the landmarks, mirrored and turned too", () => {
  const face = neutralFace(SIDE);
  const out = new Float32Array(SIDE * SIDE * 3);
  const ways = [{ warp: 0.14 }, { aspect: 0.15 }, { warp: 0.1, aspect: 0.1, bend: 0.1, rotation: 0.3, scale: 0.1 }];
  for (const way of ways) {
    let [warped, wider] = [0, 0];
    for (let step = 0; step < 60; step++) {
      const options = { ...still, ...way, flip: 0.5 };
      const draw = () => new Random(6, "augment", step);
      for (const point of [30, 8, 57]) { // each keeps its number in the mirror image
        const image = bell(SIDE, [face[2 * point]!, face[2 * point + 1]!]);
        const moved = augment(image, SIDE, face, SCHEMAS.ibug68, draw(), options, SIDE, out);
        const [x, y] = [moved[2 * point]!, moved[2 * point + 1]!];
        if (Math.min(x, y) < 4 || Math.max(x, y) > SIDE - 5) continue; // part of the bell is outside
        const [i, j] = brightest(out, SIDE);
        const off = Math.hypot(i - x, j - y);
        assert.ok(off < 0.6, `step ${step}, point ${point}: ${[i, j]} is ${off} from the landmark`);
      }
      const moved = augment(bell(SIDE, [0, 0]), SIDE, face, SCHEMAS.ibug68, draw(), options, SIDE, out);
      const [was, is] = [face, moved].map((points) =>
        interocular(points, SCHEMAS.ibug68) / Math.hypot(points[54]! - points[16]!, points[55]! - points[17]!)
      );
      if (Math.abs(is! / was! - 1) > 1e-3) warped++;
      if (is! > was!) wider++;
    }
    const least = way.aspect === undefined ? 15 : 50;
    assert.ok(warped >= least && warped <= (way.aspect ? 60 : 45), `${warped} of 60 have other proportions`);
    assert.ok(wider > 5 && wider < 55, `${wider} of 60 are wider`);
  }
});

Deno.test("augment() lowers resolution, tones and quality of a share of the images, and leaves the landmarks", () => {
  const face = neutralFace(SIDE);
  const image = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, k) => (k * 7919) % 251);
  const [plain, out] = [new Float32Array(image.length), new Float32Array(image.length)];
  const points = augment(image, SIDE, face, SCHEMAS.ibug68, new Random(1, "augment"), still, SIDE, plain);
  for (const key of ["posterise", "low_res", "jpeg"] as const) {
    let changed = 0;
    for (let step = 0; step < 100; step++) {
      const random = new Random(7, "augment", step);
      assert.deepEqual(augment(image, SIDE, face, SCHEMAS.ibug68, random, { ...still, [key]: 0.3 }, SIDE, out), points);
      if (out.some((v, k) => v !== plain[k])) changed++;
    }
    assert.ok(changed > 15 && changed < 45, `${key}: ${changed} of 100`);
  }
});

Deno.test("augment() changes nothing without strengths, and adds noise of the strength asked for", () => {
  const image = new Uint8Array(SIDE * SIDE * 3).fill(128);
  const out = new Float32Array(image.length);
  augment(image, SIDE, neutralFace(SIDE), SCHEMAS.ibug68, new Random(1, "augment"), still, SIDE, out);
  assert.ok(out.every((v) => Math.abs(v - (128 / 127.5 - 1)) < 1e-6));
  let squares = 0;
  const draws = 200, noise = 0.05;
  for (let step = 0; step < draws; step++) {
    augment(
      image,
      SIDE,
      neutralFace(SIDE),
      SCHEMAS.ibug68,
      new Random(1, "augment", step),
      { ...still, noise },
      SIDE,
      out,
    );
    for (const v of out) squares += (v - (128 / 127.5 - 1)) ** 2;
  }
  // The strength is uniform from 0 to `noise` parts of the range, which is 2: its mean square is a third of the largest.
  const rms = Math.sqrt(squares / draws / out.length);
  assert.ok(Math.abs(rms / (2 * noise / Math.sqrt(3)) - 1) < 0.1, `${rms}`);
});

Deno.test("augment() blurs by a share of the side, and raises brightness to a power", () => {
  const face = neutralFace(SIDE);
  const image = bell(SIDE, [20, 40]);
  const [plain, out] = [new Float32Array(image.length), new Float32Array(image.length)];
  augment(image, SIDE, face, SCHEMAS.ibug68, new Random(1, "augment"), still, SIDE, plain);
  const variance = (values: Float32Array) => {
    const [x, y] = centre(values, SIDE);
    let [squares, sum] = [0, 0];
    for (let k = 0; k < values.length; k += 3) {
      const light = values[k]! + 1;
      squares += light * ((k / 3 % SIDE - x) ** 2 + (Math.floor(k / 3 / SIDE) - y) ** 2) / 2;
      sum += light;
    }
    return squares / sum;
  };
  for (let step = 0; step < 10; step++) {
    augment(image, SIDE, face, SCHEMAS.ibug68, new Random(2, "augment", step), { ...still, blur: 0.04 }, SIDE, out);
    const [[x0, y0], [x1, y1]] = [centre(plain, SIDE), centre(out, SIDE)];
    assert.ok(Math.hypot(x0 - x1, y0 - y1) < 0.1, "the light stays where it is");
    // Variances of a blur add up, and this one's deviation is at most 2.56 pixels.
    const added = variance(out) - variance(plain);
    assert.ok(added > -0.1 && added < 2.56 ** 2 + 0.1, `${added}`);
  }
  augment(image, SIDE, face, SCHEMAS.ibug68, new Random(2, "augment"), { ...still, gamma: 0.3 }, SIDE, out);
  const powers = [...out.keys()].filter((k) => plain[k]! > -0.9 && plain[k]! < 0.9)
    .map((k) => Math.log((out[k]! + 1) / 2) / Math.log((plain[k]! + 1) / 2));
  assert.ok(powers.every((power) => Math.abs(power - powers[0]!) < 1e-2) && Math.abs(powers[0]! - 1) > 0.01);
});

Deno.test("applyGamma() is the power, and blur() the weighted sum of neighbours", () => {
  const ramp = Float32Array.from({ length: 3003 }, (_, k) => k / 1500 - 1.001);
  for (const gamma of [0.4, 1, 1.7, 2.5]) {
    const raised = ramp.slice();
    applyGamma(raised, gamma);
    raised.forEach((v, k) => {
      const exact = 2 * Math.max(0, (ramp[k]! + 1) / 2) ** gamma - 1;
      assert.ok(Math.abs(v - exact) < 4e-6, `${ramp[k]} to ${gamma}: ${v} is not ${exact}`);
    });
  }
  const side = 11, inside = (at: number) => Math.max(0, Math.min(side - 1, at));
  const image = Float32Array.from({ length: side * side * 3 }, (_, k) => (k * 7919) % 251 / 125 - 1);
  for (const sigma of [0.3, 1.1, 2]) {
    const out = image.slice(), reach = Math.ceil(2.5 * sigma);
    blur(out, side, sigma);
    for (let k = 0; k < out.length; k++) {
      const [x, y, c] = [Math.floor(k / 3) % side, Math.floor(k / 3 / side), k % 3];
      let [sum, total] = [0, 0];
      for (let j = -reach; j <= reach; j++) {
        for (let i = -reach; i <= reach; i++) {
          const weight = Math.exp(-(i * i + j * j) / (2 * sigma * sigma));
          sum += weight * image[(inside(y + j) * side + inside(x + i)) * 3 + c]!;
          total += weight;
        }
      }
      assert.ok(Math.abs(out[k]! - sum / total) < 1e-6, `${sigma} at ${x}, ${y}: ${out[k]} is not ${sum / total}`);
    }
  }
});

Deno.test("augment() changes colours and textures by a random convolution, and keeps shapes where they are", () => {
  const face = neutralFace(SIDE);
  const out = new Float32Array(SIDE * SIDE * 3);
  const convolved = (image: Uint8Array, step: number, random_conv = 1) => {
    const moved = augment(
      image,
      SIDE,
      face,
      SCHEMAS.ibug68,
      new Random(3, "augment", step),
      { ...still, random_conv },
      SIDE,
      out,
    );
    assert.deepEqual(
      moved,
      augment(image, SIDE, face, SCHEMAS.ibug68, new Random(3, "augment", step), null, SIDE, out.slice()),
    );
    return out;
  };
  const [one, black] = [178, 0].map((value) => new Uint8Array(SIDE * SIDE * 3).fill(value));
  const centred = bell(SIDE, [32, 32]);
  const coloursOf = (picture: Float32Array) => {
    const some: number[] = [];
    for (let k = 0; k < picture.length; k += 3) {
      if (!some.some((value) => Math.abs(value - picture[k]!) < 1e-4)) some.push(picture[k]!);
    }
    return some.length;
  };
  let [darker, whole, most] = [0, 0, 0];
  for (let step = 0; step < 60; step++) {
    // One colour turns into another one, or one for each cell, at the border too.
    const plain = convolved(one!, step);
    const count = coloursOf(plain);
    if (count === 1) whole++;
    most = Math.max(most, count);
    if (plain[0]! < 0) darker++;
    // What changes lies round the bell, within the reach of a filter of seven pixels.
    const ground = convolved(black!, step).slice();
    const shape = convolved(centred, step);
    for (let k = 0; k < shape.length; k++) {
      const [x, y] = [Math.floor(k / 3) % SIDE, Math.floor(k / 3 / SIDE)];
      if (Math.hypot(x - 32, y - 32) > 20) assert.ok(Math.abs(shape[k]! - ground[k]!) < 1e-2, `step ${step}, ${k}`);
    }
  }
  assert.ok(darker >= 8 && darker <= 52, `${darker} of 60 are dark`);
  assert.ok(whole >= 15 && whole <= 45, `${whole} of 60 are of one filter`);
  assert.ok(most > 8 && most <= 16, `${most} cells`);
  const before = out.slice();
  convolved(centred, 7, 0);
  assert.ok(out.some((v, k) => v !== before[k]) && Math.abs(centre(out, SIDE)[0] - 32) < 0.25);
});
