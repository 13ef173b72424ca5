import { decodeText } from "../../../formats/text.ts";
import { InputError } from "../../../formats/input_error.ts";
import type { LandmarkSchema } from "../../schema.ts";
import {
  coordinates,
  type ImageContext,
  type ImageFormat,
  inFile,
  pairs,
  parseJsonText,
  stem,
  toLandmarks,
} from "./format.ts";

/**
 * menpo's landmark JSON, versions 1 to 3. Points are y first.
 *
 * Source: menpo/landmarker.io, README.md (version 1); menpo/menpo, menpo/io/input/landmark.py and
 * menpo/io/output/landmark.py (versions 2 and 3).
 */
export const ljson: ImageFormat = {
  name: "ljson",
  doc: "menpo's .ljson beside each image, as landmarker.io and Face-of-Art write it",
  perImage: true,
  lacks: ["style", "group"],
  files: (image) => [`${stem(image)}.ljson`],
  parse: (bytes, context) => [parseLjson(decodeText(bytes, context.name), context)],
  write: ({ landmarks }, { schema, origin }) =>
    JSON.stringify({
      labels: schema.contours.map(({ name, points }) => ({ label: name, mask: points })),
      landmarks: {
        connectivity: edges(schema),
        points: pairs(coordinates(landmarks, origin)).map(([x, y]) => [y, x]),
      },
      version: 2,
    }) + "\n",
};

/** Reads a file. */
export function parseLjson(text: string, context: ImageContext): Float32Array {
  return inFile(context.name, () => {
    let json: unknown;
    try {
      json = parseJsonText(text);
    } catch (error) {
      throw new InputError((error as Error).message, { cause: error });
    }
    const points = pointsOf(json).map((point) => {
      const [y, x] = Array.isArray(point) ? point : [];
      return [x, y];
    });
    const missing = points.flatMap(([x, y], i) => x === null || y === null ? [i] : []);
    if (missing.length) {
      throw new InputError(
        missing.length === 1
          ? `landmark ${missing[0]} is missing`
          : `landmarks ${missing.slice(0, 5).join(", ")} are missing, ${missing.length} in all`,
      );
    }
    return toLandmarks(points.flat(), context);
  });
}

/** The points of a file, y first. */
function pointsOf(json: unknown): readonly unknown[] {
  const { version, groups, landmarks } = record(json);
  if (version === 1 && Array.isArray(groups)) {
    return groups.flatMap((group) => list(record(group).landmarks).map((one) => record(one).point));
  }
  if (version === 2) return list(record(landmarks).points);
  if (version === 3) {
    const [only, ...more] = Object.entries(record(groups));
    if (!only || more.length) {
      throw new InputError(`there are ${more.length + (only ? 1 : 0)} groups of landmarks instead of 1`);
    }
    return list(record(record(only[1]).landmarks).points);
  }
  throw new InputError(`version ${JSON.stringify(version)} is not 1, 2 or 3`);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new InputError("there is no list of points");
}

/** Pairs of landmarks that a contour joins. */
function edges({ contours }: LandmarkSchema): (readonly [number, number])[] {
  return contours.flatMap(({ points, closed }) => {
    const next = closed ? [...points.slice(1), ...points.slice(0, 1)] : points.slice(1);
    return next.map((to, k) => [points[k] ?? to, to] as const);
  });
}
