/**
 * Images with faces that were found in a folder, and the rules by which others are passed over.
 *
 * @module
 */
import type { ListedFace } from "../annotations/format.ts";
import type { BadFile } from "../annotations/registry.ts";
import type { PassedOver } from "../folder_files.ts";

/** Rule of images that the user did not choose. */
export const NOT_CHOSEN = "not chosen by include, exclude or list";
/** Rule of second paths to one file. */
export const LINKS = "links to files that are there already";

/** Face of an image: what its file says. */
export type FaceOfImage = Omit<ListedFace, "image" | "aliases">;

/** An image, and how its faces are read. */
export interface ImageWithFaces {
  readonly image: string;
  /** Style and group by the image's path, which `index.csv` may change. */
  readonly described?: Pick<ListedFace, "style" | "group">;
  /** Reads the faces of the image, whose size is given. */
  read(width: number, height: number): readonly FaceOfImage[] | Promise<readonly FaceOfImage[]>;
}

/** Images to read, and an account of the other files of a folder. */
export interface FoundImages {
  readonly images: ImageWithFaces[];
  readonly bad: BadFile[];
  readonly passed: PassedOver[];
  /** Files with landmarks, by image. */
  readonly beside: ReadonlyMap<string, string>;
  /** Files about all images. */
  readonly common: readonly string[];
}
