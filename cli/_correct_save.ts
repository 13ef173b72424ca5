/**
 * Corrected faces as a dataset of their own.
 *
 * @module
 */
import { type Correction, faceKey, isCorrected, readCorrections } from "../formats/corrections.ts";
import { exists, namesIn, writeFolderAtomic } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { baseName } from "../faces/data/annotations/format.ts";
import type { FormatName } from "../faces/data/annotations/registry.ts";
import { addedFaces, isOfFace } from "../faces/data/corrections.ts";
import { cropFace } from "../faces/data/crop.ts";
import { type ExportedDataset, exportFaces, type FaceOfPicture } from "../faces/data/dataset_export.ts";
import { DatasetWriter } from "../faces/data/dataset_writer.ts";
import { readImage, readImageSize } from "../faces/data/image_file.ts";
import { CROP_SCALE } from "../faces/landmarks.ts";
import { addedFace } from "./_correct_pictures.ts";
import type { FaceSource, SourceFace } from "./_correct_source.ts";
import { UsageError } from "./command.ts";

/** A face with what a person made of it. */
interface CorrectedFace {
  readonly face: SourceFace;
  readonly correction: Correction;
}

/**
 * Selects the faces that a person accepted or corrected, and did not reject.
 *
 * @throws {InputError} If a correction is of another face.
 */
export function correctedFaces(source: FaceSource): CorrectedFace[] {
  return facesNow(source).flatMap(({ face, correction }) =>
    correction && (correction.verdict === "accepted" || isCorrected(correction)) ? [{ face, correction }] : []
  );
}

/**
 * The faces of a folder now: those that nobody rejected, and those that were added.
 *
 * @throws {InputError} If a correction is of another face.
 */
function facesNow({ dir, faces, pictures }: FaceSource): (Pick<CorrectedFace, "face"> & Partial<CorrectedFace>)[] {
  const corrections = readCorrections(dir), byName = new Map(pictures.map((one) => [one.file_name, one]));
  const added = [...addedFaces(dir).values()].flat().flatMap((correction) => {
    const picture = byName.get(correction.file_name), landmarks = Float32Array.from(correction.landmarks.flat());
    return picture ? [{ face: addedFace(picture, correction.face, landmarks), correction }] : [];
  });
  const there = faces.filter(({ added }) => !added).flatMap((face) => {
    const correction = corrections.get(faceKey(face));
    if (!correction) return [{ face }];
    if (correction.verdict === "rejected") return [];
    if (isOfFace(correction, face.landmarks)) return [{ face, correction }];
    throw new InputError(
      `Cannot save ${faceKey(face)}: its correction is of another face than the one that is there now`,
    );
  });
  return [...there, ...added];
}

/**
 * Writes the pictures as they are, with the landmarks of all faces that nobody rejected in the pictures' own coordinates.
 *
 * @param source The faces before any correction.
 * @param out Folder to write, new or empty.
 * @param format Format of the landmarks.
 * @returns What was written, and the number of faces.
 * @throws {InputError} If there is no face, if a correction is of another face, or as {@linkcode exportFaces}.
 */
export async function exportCorrected(
  source: FaceSource,
  out: string,
  format: FormatName,
): Promise<ExportedDataset & { readonly faces: number }> {
  const faces: FaceOfPicture[] = [];
  for (const { face: { path, file_name, landmarks, occluded, style, group }, correction } of facesNow(source)) {
    const { width, height } = await readImageSize(path), hidden = correction ? correction.occluded : occluded;
    faces.push({
      image: baseName(file_name),
      path,
      width,
      height,
      landmarks: correction ? Float32Array.from(correction.landmarks.flat()) : landmarks,
      style: style || "photo",
      group: group || file_name,
      ...(hidden?.length && { occluded: hidden }),
    });
  }
  if (faces.length === 0) throw new InputError(`Cannot export the faces of ${source.dir}: there is none`);
  return { ...await exportFaces(faces, source.schema, out, { format }), faces: faces.length };
}

/**
 * Writes the faces that a person accepted or corrected, and did not reject, as a dataset of crops.
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
