/**
 * Files of landmark edits: `pipelines/edits/*.yaml`.
 *
 * @module
 */
import { z } from "zod";
import { fileNames, readText } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { type JsonSchema, jsonSchema } from "../formats/schema_describe.ts";
import { readYaml, type Report } from "../formats/yaml_file.ts";
import { itemAt } from "../engine/lookup.ts";
import type { Edit, Move } from "./edits.ts";
import { expandIndices, type LandmarkSchema, schemaName, SCHEMAS } from "./schema.ts";

const LIMIT_IOD = 1;
const iod = z.number().min(-LIMIT_IOD).max(LIMIT_IOD);
const range = { min: z.number().min(-1).max(1), max: z.number().min(-1).max(1) };

const editFile = z.strictObject({
  edit: z.string().regex(/^[a-z][a-z0-9_]*$/, "must be a name of small letters, digits and _"),
  schema: schemaName,
  doc: z.string().min(1).describe("Its effect, in a sentence"),
  amount: z.strictObject(range),
  random: z.record(
    z.string(),
    z.strictObject({
      ...range,
      lateral: z.boolean().default(false).describe("Whether it changes sign when the face is mirrored"),
    }),
  ).default({}),
  moves: z.array(z.strictObject({
    points: z.array(z.union([z.int().min(0), z.string()])).min(1).describe(
      "Landmarks: numbers, first-last, names of contours; those opposite follow",
    ),
    offset_iod: z.tuple([iod, iod]).describe("To the right and down, in distances of the outer eye corners"),
    multiply_by: z.string().optional().describe("Random factor"),
    falloff_iod: z.number().min(0).max(2).default(0).describe("Distance up to which others are dragged along"),
  })).default([]),
  transforms: z.array(z.strictObject({
    rotate_deg: z.number().min(-45).max(45).default(0).describe("Clockwise"),
    scale_x: z.number().min(-0.5).max(0.5).default(0).describe("Added to the width, as a share of it"),
    scale_y: z.number().min(-0.5).max(0.5).default(0).describe("Added to the height, as a share of it"),
    shear: z.number().min(-0.5).max(0.5).default(0).describe("Shift to the right, as a share of y"),
    multiply_by: z.string().optional().describe("Random factor"),
  })).default([]),
});

type EditFile = z.output<typeof editFile>;

/** The schema of an edit file, as JSON schema. */
export function editSchema(): JsonSchema {
  return jsonSchema(editFile);
}

/**
 * Reads an edit.
 *
 * @param text YAML, as in `pipelines/edits/`.
 * @param file Its name, for errors.
 * @returns The edit.
 * @throws {PipelineError} With every error and its line.
 */
export function parseEdit(text: string, file: string): Edit {
  const moves: Move[] = [];
  const content = readYaml(
    { name: file, text },
    editFile,
    { owner: "the edit", type: "an edit" },
    (content, report) => {
      checkAmounts(content, report);
      content.transforms.forEach((transform, i) => checkTransform(transform, content, i, report));
      moves.push(...content.moves.map((move, i) => mirroredMove(move, content, i, report)));
    },
  );
  const { edit: name, schema, doc, amount, random, transforms } = content;
  return { name, schema: SCHEMAS[schema], doc, amount, random: new Map(Object.entries(random)), moves, transforms };
}

function checkAmounts({ amount, random, moves, transforms }: EditFile, report: Report): void {
  if (amount.min > amount.max) report(["amount"], `Cannot draw an amount from ${amount.min} to ${amount.max}`);
  if (moves.length + transforms.length === 0) report([], "Cannot use an edit without moves and transforms");
  for (const [key, { min, max, lateral }] of Object.entries(random)) {
    if (min > max) report(["random", key], `Cannot draw "${key}" from ${min} to ${max}`);
    if (lateral && min !== -max) {
      report(
        ["random", key],
        `Cannot draw "${key}" from ${min} to ${max} as it is lateral`,
        "left and right are alike: min is -max",
      );
    }
  }
}

/** True if the random factor of a move or transform is lateral; reports one that is not there. */
function isLateral(
  { multiply_by }: { readonly multiply_by?: string | undefined },
  { random }: EditFile,
  path: readonly PropertyKey[],
  report: Report,
): boolean {
  if (multiply_by === undefined) return false;
  const factor = random[multiply_by];
  if (!factor) {
    report(
      [...path, "multiply_by"],
      `Cannot multiply by "${multiply_by}" as random has no such name`,
      `random: ${Object.keys(random).join(", ") || "none"}`,
    );
  }
  return factor?.lateral ?? false;
}

/** Reports a transform that does not commute with mirroring. */
function checkTransform(transform: EditFile["transforms"][number], content: EditFile, i: number, report: Report): void {
  const { rotate_deg, scale_x, scale_y, shear } = transform;
  if (isLateral(transform, content, ["transforms", i], report) ? scale_x || scale_y : rotate_deg || shear) {
    report(
      ["transforms", i],
      "Cannot mirror the transform",
      "rotate_deg and shear need a lateral random factor, scale_x and scale_y another one or none",
    );
  }
}

/** A move of the landmarks that are named, and of those opposite; reports those that would move two ways. */
function mirroredMove(move: EditFile["moves"][number], content: EditFile, i: number, report: Report): Move {
  const schema = SCHEMAS[content.schema];
  const { mirror, contours } = schema;
  const lateral = isLateral(move, content, ["moves", i], report);
  const [dx, dy] = move.offset_iod;
  const opposite = lateral ? [dx, -dy || 0] as const : [-dx || 0, dy] as const;
  const offset_iod = new Map<number, readonly [number, number]>();
  const put = (point: number, [x, y]: readonly [number, number], at: PropertyKey) => {
    const [oldX, oldY] = offset_iod.get(point) ?? [x, y];
    const central = mirror[point] === point;
    if (oldX !== x || oldY !== y || (central && (lateral ? y : x) !== 0)) {
      report(
        ["moves", i, "points", at],
        `Cannot move landmark ${point} by [${dx}, ${dy}] as its mirror image moves the other way`,
        central
          ? `on the middle of the face only ${lateral ? "x" : "y"} may change here`
          : "name the landmarks of one half; the other half follows",
      );
    }
    offset_iod.set(point, [x, y]);
  };
  move.points.forEach((entry, at) => {
    const points = landmarksNamed(entry, schema);
    if (!points) {
      report(
        ["moves", i, "points", at],
        `Cannot read "${entry}" as landmarks`,
        `a number, first-last, or one of ${contours.map(({ name }) => name).join(", ")}`,
      );
    }
    for (const point of points ?? []) put(point, [dx, dy], at);
    for (const point of points ?? []) put(itemAt(mirror, point, "the mirror of the schema"), opposite, at);
  });
  return { offset_iod, multiply_by: move.multiply_by, falloff_iod: move.falloff_iod };
}

/** Landmarks that an entry of `points` names, such as 36, "36-41" and left_eye; undefined if it names none. */
export function landmarksNamed(
  entry: number | string,
  { contours, count }: LandmarkSchema,
): readonly number[] | undefined {
  const contour = contours.find(({ name }) => name === entry);
  if (contour) return contour.points;
  if (typeof entry === "string" && !/^\d+-\d+$/.test(entry)) return undefined;
  const points = expandIndices(entry);
  const isAscending = itemAt(points, 0, "a range") <= itemAt(points, points.length - 1, "a range");
  return isAscending && points.every((point) => point < count) ? points : undefined;
}

/**
 * Reads the edits of a folder, in the order of their file names.
 *
 * @param dir A folder of `.yaml` files.
 * @param names Only these; by default all.
 * @returns The edits.
 * @throws {PipelineError} If a file cannot be read.
 * @throws {InputError} If there is no file for a name, or a file's edit is named otherwise than the file.
 */
export async function readEdits(dir: string, names?: readonly string[]): Promise<Edit[]> {
  const ending = ".yaml";
  const found = fileNames(dir).filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length))
    .sort();
  const missing = names?.find((name) => !found.includes(name));
  if (missing !== undefined) {
    throw new InputError(`Cannot find the edit "${missing}" in ${dir}`, {
      hint: `there are ${found.join(", ") || "none"}`,
    });
  }
  return await Promise.all((names ?? found).map(async (name) => {
    const file = `${dir}/${name}.yaml`;
    const edit = parseEdit(await readText(file), file);
    if (edit.name !== name) throw new InputError(`Cannot use ${file} as its edit is named "${edit.name}"`);
    return edit;
  }));
}
