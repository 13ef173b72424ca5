/**
 * Corrected faces as a dataset of their own.
 *
 * @module
 */
import { changesFace, type Correction, faceKey, readCorrections } from "../formats/corrections.ts";
import { exists, namesIn, writeFolderAtomic } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { isOfFace } from "../faces/data/corrections.ts";
import { cropFace } from "../faces/data/crop.ts";
import { DatasetWriter } from "../faces/data/dataset_writer.ts";
import { readImage } from "../faces/data/image_file.ts";
import { CROP_SCALE } from "../faces/landmarks.ts";
import type { FaceSource, SourceFace } from "./_correct_source.ts";
import { UsageError } from "./command.ts";

/** A face with what a person made of it. */
interface CorrectedFace {
  readonly face: SourceFace;
  readonly correction: Correction;
}

/**
 * Selects the faces that a person accepted or changed, and did not reject.
 *
 * @throws {InputError} If a correction is of another face.
 */
export function correctedFaces({ dir, faces }: FaceSource): CorrectedFace[] {
  const corrections = readCorrections(dir);
  return faces.flatMap((face) => {
    const correction = corrections.get(faceKey(face));
    if (!correction || correction.verdict === "rejected") return [];
    if (correction.verdict !== "accepted" && !changesFace(correction)) return [];
    if (isOfFace(correction, face.landmarks)) return [{ face, correction }];
    throw new InputError(
      `Cannot save ${faceKey(face)}: its correction is of another face than the one that is there now`,
    );
  });
}

/**
 * Writes the faces that a person accepted or changed, and did not reject, as a dataset of crops.
 *
 * @param source The faces before any correction.
 * @param out Folder to write, new or empty.
 * @param size_px Side of the crops.
 * @returns Number of faces.
 * @throws {InputError} If there is none, or a correction is of another face.
 */
export async function saveCorrected(source: FaceSource, out: string, size_px: number): Promise<number> {
  if (exists(out) && (await namesIn(out)).length > 0) throw new UsageError(`Cannot save to ${out}: it is not empty`);
  const chosen = correctedFaces(source);
  if (chosen.length === 0) {
    throw new InputError(`Cannot save faces of ${source.dir}: none is accepted or corrected`, {
      hint: `deno task correct ${source.dir}`,
    });
  }
  await writeFolderAtomic(out, async (dir) => {
    const writer = await DatasetWriter.create(dir, source.schema);
    for (const { face: { path, file_name, face, style, group }, correction } of chosen) {
      const landmarks = Float32Array.from(correction.landmarks.flat()), image = await readImage(path);
      const crop = cropFace(image, landmarks, source.schema, { crop: "landmarks", scale: CROP_SCALE, size_px });
      await writer.add(crop, {
        style: style || "photo",
        group: group || file_name,
        landmarks: crop.landmarks,
        source: face === 1 ? file_name : `${file_name}#${face}`,
        ...(correction.occluded?.length && { occluded: [...correction.occluded] }),
      });
    }
    await writer.close();
  });
  return chosen.length;
}
