/**
 * Corrections by hand, applied to the records of a folder of faces, see `formats/corrections.ts`.
 *
 * @module
 */
import {
  changesFace,
  type Correction,
  CORRECTIONS,
  faceKey,
  isAdded,
  readCorrections,
} from "../../formats/corrections.ts";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { pointAt } from "../geometry.ts";
import type { Landmarks } from "../landmarks.ts";
import { roundTo } from "../statistics.ts";
import type { DatasetRecord } from "./dataset.ts";

/** Largest difference of a coordinate that is still the same, pixels: files have thousandths, and numbers in memory 24 bits. */
const SAME_PX = 0.002;

/** Numbers the faces of each image from 1, in the order of the records. */
export function numberFaces(
  records: readonly Pick<DatasetRecord, "file_name">[],
): { readonly file_name: string; readonly face: number }[] {
  const seen = new Map<string, number>();
  return records.map(({ file_name }) => {
    const face = (seen.get(file_name) ?? 0) + 1;
    seen.set(file_name, face);
    return { file_name, face };
  });
}

/** Landmarks as a correction has them, `[P][2]`, thousandths of a pixel. */
export function pointsOf(landmarks: Landmarks): [number, number][] {
  return Array.from({ length: landmarks.length / 2 }, (_, p) => {
    const [x, y] = pointAt(landmarks, p);
    return [roundTo(x, 3), roundTo(y, 3)];
  });
}

/** True if a correction is of the face that has these landmarks. */
export function isOfFace({ was }: Pick<Correction, "was">, landmarks: Landmarks): boolean {
  return 2 * was.length === landmarks.length &&
    was.flat().every((px, k) => Math.abs(px - (landmarks[k] ?? NaN)) <= SAME_PX);
}

/**
 * The faces that were added to the pictures of a folder by hand.
 *
 * @param dir The folder.
 * @returns By picture, in the order of their numbers.
 * @throws {InputError} If the file cannot be understood.
 */
export function addedFaces(dir: string): ReadonlyMap<string, readonly Correction[]> {
  const added = [...readCorrections(dir).values()].filter((one) => isAdded(one) && changesFace(one));
  return Map.groupBy(added.sort((a, b) => a.face - b.face), ({ file_name }) => file_name);
}

/**
 * Applies the corrections in a folder to its records.
 *
 * @param dir The folder.
 * @param records Its faces as its files have them.
 * @returns The faces with their corrections, without those that were rejected.
 * @throws {InputError} If a correction is of another face than the one in its place, or the file cannot be understood.
 */
export function applyCorrections<R extends DatasetRecord>(dir: string, records: readonly R[]): R[] {
  const corrections = readCorrections(dir);
  if (corrections.size === 0) return [...records];
  const numbers = numberFaces(records);
  const unfit: string[] = [];
  const corrected = records.flatMap((record, k) => {
    const key = faceKey(numbers[k]!), correction = corrections.get(key);
    if (!correction || !changesFace(correction)) return [record];
    if (!isOfFace(correction, record.landmarks)) {
      unfit.push(key);
      return [];
    }
    const { landmarks, occluded = [], verdict } = correction;
    if (verdict === "rejected") return [];
    const { uncertainty_px: _, doubt: __, occluded: ___, ...rest } = record;
    return [{
      ...rest as R,
      landmarks: Float32Array.from(landmarks.flat()),
      ...(occluded.length > 0 && { occluded: [...occluded] }),
    }];
  });
  if (unfit.length) {
    throw new InputError(
      `Cannot apply ${dir}/${CORRECTIONS}: it has ${
        counted(unfit.length, "correction")
      } of other faces than those that ` +
        `are there now, as that of ${unfit[0]}`,
      {
        hint:
          `open the folder with the settings it was corrected with, or set them aside: deno task correct ${dir} --undo-all`,
      },
    );
  }
  return corrected;
}
