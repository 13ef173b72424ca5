/**
 * Small folders of faces to correct.
 *
 * @module
 */
import { CORRECTIONS } from "../../formats/corrections.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { createImage, type Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { formatPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import type { FaceState } from "../../cli/_correct_journal.ts";
import { neutralFace } from "../faces/neutral_face.ts";

/** Side of the pictures, pixels. */
export const SIDE = 64;
/** Landmarks of the first face, `[68, 2]`. */
export const LANDMARKS = Float32Array.from(neutralFace(SIDE));

/** A picture that differs with its number. */
export const picture = (k: number): Image => createImage(SIDE, SIDE, [40 + k, 90, 200]);

/** A folder of pictures with landmarks, of which each has its own. */
export async function folderOf(dir: string, count: number): Promise<string> {
  await Deno.mkdir(dir);
  for (let k = 0; k < count; k++) {
    await writePng(`${dir}/${k}.png`, picture(k));
    await Deno.writeTextFile(`${dir}/${k}.pts`, formatPts(LANDMARKS.map((px) => px + k / 4)));
  }
  return dir;
}

/** A dataset of such faces, with doubts. */
export async function datasetOf(dir: string, count: number): Promise<string> {
  const writer = await DatasetWriter.create(dir, SCHEMAS.ibug68);
  for (let k = 0; k < count; k++) {
    await writer.add(picture(k), {
      style: "ink",
      group: `g${k}`,
      landmarks: LANDMARKS.map((px) => px + k / 4),
      doubt: 1 + k,
    });
  }
  await writer.close();
  return dir;
}

/** A state whose nose is moved to the right, pixels. */
export const shifted = ({ landmarks, ...rest }: FaceState, by: number): FaceState => ({
  ...rest,
  landmarks: landmarks.map(([x, y], p) => p === 30 ? [x + by, y] as const : [x, y] as const),
});

/** The bytes of the files of a folder, but for those of its corrections, in hexadecimal digits. */
export const filesOf = async (dir: string) =>
  Object.fromEntries(
    await Promise.all(
      [...Deno.readDirSync(dir)].filter(({ isFile, name }) => isFile && !name.startsWith(CORRECTIONS))
        .map(async ({ name }) => [name, (await Deno.readFile(`${dir}/${name}`)).toHex()]),
    ),
  );
