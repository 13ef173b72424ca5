import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import { createImage } from "../../../faces/data/image.ts";
import { facePlace } from "../../../faces/place.ts";
import { DEFAULT_POSE, renderFaces, samplePerson, sampleShot } from "../../../faces/render/render.ts";
import { loadStyle } from "../../../faces/render/styles.ts";
import { loadFinder } from "../../../models/finder/finder.ts";
import { gpuTest } from "../../gpu.ts";

const FACE_PX = 128, COUNT = 4;

gpuTest("the shipped finder finds rendered faces, and how they are turned", async (device) => {
  const [persons, shots] = [new Random(5, "persons"), new Random(5, "shots")];
  const heads = Array.from({ length: COUNT }, (_, k) => ({
    person: samplePerson(persons.at(k)),
    shot: sampleShot(shots.at(k), { ...DEFAULT_POSE, heavy: false }),
  }));
  const { render } = await loadStyle("pipelines/styles/photo.yaml");
  const faces = await renderFaces(device.gpu, heads, render, FACE_PX);
  const page = createImage(2 * FACE_PX + 60, 2 * FACE_PX + 60, [120, 140, 150]);
  const places = faces.map(({ image, landmarks }, k) => {
    const left = 20 + (k % 2) * (FACE_PX + 20), top = 20 + (k >> 1) * (FACE_PX + 20);
    for (let y = 0; y < FACE_PX; y++) {
      const row = image.data.subarray(y * FACE_PX * 3, (y + 1) * FACE_PX * 3);
      page.data.set(row, ((top + y) * page.width + left) * 3);
    }
    return facePlace(landmarks.map((px, i) => px + (i % 2 === 0 ? left : top)));
  });
  using finder = await loadFinder(device, "models/faces/finder");
  const found = await finder.find(page);
  const upright = places.flatMap(({ x, y, side, angle }) => {
    const near = found.find((face) => Math.hypot(x - face.x, y - face.y) < 0.25 * side);
    return near ? [{ side: Math.abs(Math.log(near.side / side)), angle: Math.abs(near.angle - angle) }] : [];
  });
  assert.equal(upright.length, COUNT, JSON.stringify(found));
  assert.ok(upright.every(({ side, angle }) => side < 0.35 && angle < 0.5), JSON.stringify(upright));
  assert.ok(found.length <= COUNT + 1);
});
