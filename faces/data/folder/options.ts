/**
 * Options of a plain folder of images with landmarks.
 *
 * @module
 */
import type { Origin } from "../../pts.ts";
import type { LandmarkSchema } from "../../schema.ts";
import type { FormatName } from "../annotations/registry.ts";

/** Options of a plain folder. */
export interface FolderOptions {
  /** Schema of the landmarks; by default `ibug68`. WFLW's lists are converted to it. */
  schema?: LandmarkSchema;
  /** Format of the landmarks; by default `pts`. */
  format?: FormatName;
  /** The one file, where the format has one, or a folder of such files. */
  annotations?: string;
  /** Coordinate of the centre of the first pixel; by default that of the format. */
  origin?: Origin;
  /** Style of images that have none of their own; by default "photo". */
  style?: string;
  /** Returns true for the images to take, by name without ending; by default all. */
  filter?: (name: string) => boolean;
  /** "stop" (unless given): throw when a file is bad, naming all of them. "skip": list them in `bad`. */
  on_bad?: "stop" | "skip";
  /** False for the landmarks before any correction by hand; by default true. */
  corrected?: boolean;
  /** Next step for a user with bad files, for the error; by default that of `dataset/import`. */
  remedy?: string;
}
