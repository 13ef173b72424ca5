/**
 * Two detectors beside the landmarks of a folder, for the page of `correct`.
 *
 * A side is a detector, which looks at each face where its landmarks are, or a folder of faces that were found before: what
 * `detect` wrote, a dataset, or images with landmarks.
 *
 * @module
 */
import { resolve } from "node:path";
import { exists } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { pointsOf } from "../faces/data/corrections.ts";
import { boundingBox, interocular } from "../faces/landmarks.ts";
import { nmePerImage } from "../faces/metrics.ts";
import { convertLandmarks, type LandmarkSchema } from "../faces/schema.ts";
import { mean, roundTo } from "../faces/statistics.ts";
import { overlap } from "../models/detectors/find_faces.ts";
import type { Guesser } from "./_correct_guesser.ts";
import { type FaceSource, openSource, type SourceFace } from "./_correct_source.ts";
import { UsageError } from "./command.ts";

/** Landmarks, `[P][2]`, pixels of the picture. */
type Points = readonly (readonly [number, number])[];

/** Landmarks of both sides; null where a side has none. */
export type Found = readonly [Points | null, Points | null];

/** One of the two. */
export interface Side {
  /** Name for people. */
  readonly name: string;
  /** Landmarks of a face, or none. */
  find(face: SourceFace): Promise<Points | null>;
}

/** Errors of both sides, percent of the distance between the outer eye corners. */
export interface Errors {
  /** Mean error of each; null where there are no landmarks. */
  readonly errors: readonly [number | null, number | null];
  /** Mean distance between the two; null where one is missing. */
  readonly difference: number | null;
}

/** Overlap of boxes, intersection over union, from which faces of one picture are the same. */
const SAME_FACE = 0.3;

/** See the module. */
export class Comparison {
  readonly #found = new Map<number, Promise<Found>>();
  readonly #known = new Map<number, Found>();

  /** Takes both sides, and the schema that their landmarks are in. */
  constructor(private readonly sides: readonly [Side, Side], private readonly schema: LandmarkSchema) {}

  /** Names of both. */
  get names(): readonly [string, string] {
    const [a, b] = this.sides;
    return [a.name, b.name];
  }

  /** Landmarks of both sides for a face; they are computed once. */
  find(k: number, face: SourceFace): Promise<Found> {
    const known = this.#found.get(k);
    if (known) return known;
    const [a, b] = this.sides;
    const found = Promise.all([a.find(face), b.find(face)]).then((both) => {
      this.#known.set(k, both);
      return both;
    });
    this.#found.set(k, found);
    return found;
  }

  /** Errors against landmarks; undefined before the face was looked at. */
  errors(k: number, truth: Points): Errors | undefined {
    const found = this.#known.get(k), unit = interocular(truth.flat(), this.schema);
    if (!found) return undefined;
    const error = (one: Points | null, other: Points | null) =>
      one && other && unit > 0 ? roundTo(nmePerImage(one.flat(), other.flat(), this.schema)[0]!, 2) : null;
    const [a, b] = found;
    // The difference in the unit of the errors: of the distance between the eyes of the truth.
    const between = a && b && unit > 0
      ? roundTo(100 * mean(a.map(([x, y], p) => Math.hypot(x - b[p]![0], y - b[p]![1]))) / unit, 2)
      : null;
    return { errors: [error(a, truth), error(b, truth)], difference: between };
  }
}

/** A detector as a side. */
export function detectorSide(name: string, guesser: Guesser): Side {
  return {
    name,
    async find({ path, landmarks }) {
      try {
        return (await guesser.guess(path, landmarks)).landmarks;
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        return null; // the face has no place; its picture may be broken, which opening it will say
      }
    },
  };
}

/**
 * Faces that were found before as a side: of the same picture, those whose box overlaps most.
 *
 * @param dir Folder of the faces.
 * @param source The faces that they are compared with.
 * @throws {InputError} If none of its pictures is one of the source's, or if its landmarks cannot be those of its schema.
 */
export async function folderSide(dir: string, source: FaceSource): Promise<Side> {
  const other = await openSource(dir);
  convertLandmarks(new Float32Array(0), other.schema, source.schema);
  const byPath = Map.groupBy(other.faces, ({ path }) => resolve(path));
  const byName = Map.groupBy(other.faces, ({ file_name }) => file_name);
  const of = ({ path, file_name }: SourceFace) => byPath.get(resolve(path)) ?? byName.get(file_name) ?? [];
  if (!source.faces.some((face) => of(face).length)) {
    throw new InputError(`Cannot compare with ${dir}: none of its pictures is one of ${source.dir}`, {
      hint: `deno task detect ${source.dir} --out ${dir}2, or name a detector's folder`,
    });
  }
  return {
    name: dir,
    find(face) {
      let [best, most]: [SourceFace | undefined, number] = [undefined, SAME_FACE];
      const box = boundingBox(face.landmarks);
      for (const one of of(face)) {
        const shared = overlap(box, boundingBox(one.landmarks));
        if (shared > most) [best, most] = [one, shared];
      }
      return Promise.resolve(best ? pointsOf(convertLandmarks(best.landmarks, other.schema, source.schema)) : null);
    },
  };
}

/** The two names of `--compare`. */
export function compareNames(text: string): readonly [string, string] {
  const [a, b, ...more] = text.split(",").map((name) => name.trim());
  if (!a || !b || more.length) {
    throw new UsageError(`Cannot compare "${text}": two names with a comma between them are expected, as in A,B`);
  }
  for (const name of [a, b]) {
    if (!exists(name)) throw new UsageError(`Cannot compare with ${name}: there is no such folder`);
  }
  return [a, b];
}

/** True for the folder of a detector. */
export function isDetector(dir: string): boolean {
  return exists(`${dir}/config.json`) && exists(`${dir}/model.safetensors`);
}
