/**
 * Rendered photographs for short trainings.
 *
 * @module
 */

import { withoutParts } from "../../../faces/render/parts.ts";
import { renderFaces, samplePerson, sampleShot } from "../../../faces/render/render.ts";
import { loadStyle } from "../../../faces/render/styles.ts";
import type { Device } from "../../../engine/device.ts";
import { Random } from "../../../engine/rng.ts";

/** Heads that face the camera, with nothing worn: what is hidden cannot be learned from pixels. */
const FRONTAL = { yaw_deg: 0, pitch_deg: 0, roll_deg: 0 };

/** Renders faces of different people who face the camera: `[count, size_px, size_px, 3]`, and 68 landmarks of each. */
export async function frontalFaces({ gpu }: Device, count: number, size_px: number) {
  const people = new Random(0, "faces/render.people.train"), shots = new Random(7, "faces/render.shots");
  const heads = Array.from(
    { length: count },
    (_, k) => withoutParts({ person: samplePerson(people.at(k)), shot: sampleShot(shots.at(k), FRONTAL) }, ["worn"]),
  );
  const faces = await renderFaces(gpu, heads, (await loadStyle("pipelines/styles/photo.yaml")).render, size_px);
  const pixels = new Uint8Array(count * size_px * size_px * 3), truth = new Float32Array(count * 136);
  faces.forEach(({ image, landmarks }, k) => {
    pixels.set(image.data, k * size_px * size_px * 3);
    truth.set(landmarks, k * 136);
  });
  return { pixels, truth };
}
