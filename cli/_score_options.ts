/**
 * Options that `score` and `benchmark` share: tools to measure, folders of images, and the way of measuring.
 *
 * @module
 */
import { Option } from "@commander-js/extra-typings";
import { basename, resolve } from "node:path";
import { DEFAULT_SCHEMA, type SchemaName, schemaName } from "../faces/schema.ts";
import type { Normaliser } from "../faces/metrics.ts";
import { collect, SHIPPED_DETECTOR, UsageError } from "./command.ts";

/** Cropping of images for the detector. */
export type Crop = "none" | "landmarks";

/** `--detector`. */
export const detectorOption = () =>
  new Option("--detector <[NAME=]DIR>", "a detector; may be given several times; models/faces if nothing is given")
    .argParser<string[] | undefined>(collect);

/** `--predicted`. */
export const predictedOption = () =>
  new Option(
    "--predicted <[NAME=]DIR>",
    "a folder of another tool's .pts files, named as the images; may be given several times",
  ).argParser<string[] | undefined>(collect);

/** `--origin`. */
export const originOption = () =>
  new Option("--origin <NUMBER>", "coordinate of the centre of the first pixel in .pts files: 1 in 300-W's own")
    .choices(["0", "1"]).default("0");

/** `--schema`. */
export const schemaOption = () =>
  new Option("--schema <NAME>", "schema of the landmarks in .pts files; datasets have their own")
    .choices(schemaName.options).default(DEFAULT_SCHEMA);

/** `--crop`. */
export const cropOption = () =>
  new Option(
    "--crop <HOW>",
    "input of the detector: the whole image, or a square around the true landmarks; " +
      "without it, whole images if they are crops of faces already",
  ).choices(["none", "landmarks"]);

/** `--flip`. */
export const flipOption = () =>
  new Option(
    "--flip",
    "average the landmarks of the image and of its mirror image, both also moved by half a pixel of the heatmaps",
  );

/** Tools as the command line names them. */
export interface ToolOptions {
  /** Detectors. */
  readonly detector?: readonly string[] | undefined;
  /** Landmarks of other tools. */
  readonly predicted?: readonly string[] | undefined;
}

/** Options of reading folders. */
export interface DataOptions {
  /** Coordinate of the centre of the first pixel in `.pts` files. */
  readonly origin: "0" | "1";
  /** Schema of the landmarks in `.pts` files. */
  readonly schema: SchemaName;
  /** Names of images of folders to leave out, with * and ?. */
  readonly exclude?: readonly string[] | undefined;
}

/** Options of measuring errors. */
export interface MeasureOptions extends DataOptions {
  /** Cropping of the images; by default whole images if they are crops of faces already. */
  readonly crop?: Crop | undefined;
  /** Length that errors are divided by. */
  readonly normaliser: Normaliser;
  /** Thresholds of failure rate and AUC, percent. */
  readonly thresholds: readonly number[];
  /** GPU to compute on, see {@linkcode gpuOption}. */
  readonly gpu?: string | undefined;
  /** True to average with the mirror image. */
  readonly flip?: boolean | undefined;
}

/** A folder with a name. */
export interface NamedFolder {
  /** Name in tables. */
  readonly name: string;
  /** Its path. */
  readonly dir: string;
}

/** A detector or landmarks to measure. */
export interface Tool extends NamedFolder {
  /** Kind of the folder. */
  readonly kind: "detector" | "predicted";
}

/** Reads `NAME=DIR`, or `DIR` with the folder's own name. */
export function namedFolder(text: string): NamedFolder {
  const [, name = basename(resolve(text)), dir = text] = /^([^/=]+)=(.+)$/.exec(text) ?? [];
  return { name, dir };
}

function toolOf(kind: Tool["kind"]): (text: string) => Tool {
  return (text) => ({ kind, ...namedFolder(text) });
}

/**
 * Reads the names of the tools; without any it is the detector that ships.
 *
 * @throws {UsageError} If two have one name.
 */
export function toolsOf({ detector = [], predicted = [] }: ToolOptions): Tool[] {
  const tools = [...detector.map(toolOf("detector")), ...predicted.map(toolOf("predicted"))];
  if (!tools.length) tools.push(toolOf("detector")(`faces=${SHIPPED_DETECTOR}`));
  const twice = tools.find(({ name }, i) => tools.findIndex((other) => other.name === name) < i);
  if (twice) {
    throw new UsageError(
      `Cannot score two tools called "${twice.name}", hint: name them: --${twice.kind} NAME=${twice.dir}`,
    );
  }
  return tools;
}
