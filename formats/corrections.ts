/**
 * Corrections of landmarks by hand, `corrections.jsonl` in the folder of the faces: the files of the faces stay as they are,
 * and whoever reads the folder applies the corrections.
 *
 * The file is a journal: each line is the whole state of a face after a change, and the last line of a face counts. A line
 * that was cut off at the end of the file, by a crash, is none.
 *
 * @module
 */
import { z } from "zod";
import { readTextIfExists } from "./files.ts";
import { InputError } from "./input_error.ts";

/** Name of the file. */
export const CORRECTIONS = "corrections.jsonl";

const point = z.tuple([z.number(), z.number()]);
const indices = z.array(z.int().min(0));

/** Shape of a line. */
const correctionLine = z.strictObject({
  file_name: z.string().min(1),
  face: z.int().min(1),
  was: z.array(point),
  was_occluded: indices.optional(),
  landmarks: z.array(point).min(1),
  occluded: indices.optional(),
  pinned: indices.optional(),
  verdict: z.enum(["accepted", "rejected"]).optional(),
  step: z.enum(["set", "undo", "redo"]).optional(),
});

/** State of a face. */
export interface Correction {
  /** Path of the image inside the folder. */
  readonly file_name: string;
  /** Number of the face in the image, from 1. */
  readonly face: number;
  /**
   * Landmarks before any correction, `[P][2]`, pixels: the correction is of this face and of no other. None for a face that was
   * added by hand.
   */
  readonly was: readonly (readonly [number, number])[];
  /** Landmarks that were hidden in the picture before any correction, by index. */
  readonly was_occluded?: readonly number[] | undefined;
  /** Landmarks now, `[P][2]`, pixels. */
  readonly landmarks: readonly (readonly [number, number])[];
  /** Landmarks that are hidden in the picture, by index. */
  readonly occluded?: readonly number[] | undefined;
  /** Landmarks that were placed by hand, by index. */
  readonly pinned?: readonly number[] | undefined;
  /** Verdict on the face: a rejected one is left out by whoever reads the folder. */
  readonly verdict?: "accepted" | "rejected" | undefined;
  /** Way in which the state came about; `set` unless given. */
  readonly step?: "set" | "undo" | "redo" | undefined;
}

/**
 * Reads a journal.
 *
 * @param text The file.
 * @param path Its name, for errors.
 * @returns All lines, in order.
 * @throws {InputError} Naming the line, if one is no correction; but for one that was cut off at the end.
 */
export function parseCorrections(text: string, path: string): Correction[] {
  const lines = text.split("\n");
  lines.pop(); // empty, or cut off
  return lines.flatMap((line, k) => {
    if (line.trim() === "") return [];
    const fail = (problem: string) =>
      new InputError(`Cannot read ${path}:${k + 1}: ${problem}`, {
        code: "format",
        hint: "remove the line, or move the file away to go on without corrections",
      });
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (error) {
      throw fail((error as Error).message);
    }
    const parsed = correctionLine.safeParse(json);
    const issue = parsed.error?.issues[0];
    if (issue) throw fail(`${issue.path.join(".") || "the line"}: ${issue.message}`);
    return parsed.success ? [parsed.data as Correction] : [];
  });
}

/** A line of the journal. */
export function formatCorrection(correction: Correction): string {
  return `${JSON.stringify(correction)}\n`;
}

/** Name of a face in maps. */
export function faceKey({ file_name, face }: Pick<Correction, "file_name" | "face">): string {
  return `${file_name}#${face}`;
}

/** The last state of each face, in the order of their first lines. */
export function lastStates(journal: readonly Correction[]): Map<string, Correction> {
  return new Map(journal.map((correction) => [faceKey(correction), correction]));
}

/** True for a face that was added by hand. */
export function isAdded({ was }: Pick<Correction, "was">): boolean {
  return was.length === 0;
}

/** True for a correction that changes a face for whoever reads it: an accepted face is as it was. */
export function changesFace({ was, was_occluded = [], landmarks, occluded = [], verdict }: Correction): boolean {
  if (isAdded({ was })) return verdict !== "rejected";
  return verdict === "rejected" || new Set(occluded).symmetricDifference(new Set(was_occluded)).size > 0 ||
    was.some(([x, y], k) => x !== landmarks[k]?.[0] || y !== landmarks[k]?.[1]);
}

/**
 * Tests if a person placed or hid landmarks of a face. Of a face that was added, the landmarks are a detector's or a usual
 * shape until one of them is placed by hand.
 */
export function isCorrected(correction: Correction): boolean {
  if (isAdded(correction)) return (correction.pinned ?? []).length > 0;
  return changesFace({ ...correction, verdict: undefined });
}

/**
 * Reads the corrections of a folder.
 *
 * @param dir The folder.
 * @returns The last state of each face; none where there is no such file.
 * @throws {InputError} As {@linkcode parseCorrections}.
 */
export function readCorrections(dir: string): ReadonlyMap<string, Correction> {
  const path = `${dir}/${CORRECTIONS}`;
  return lastStates(parseCorrections(readTextIfExists(path) ?? "", path));
}

/**
 * Text that is the same for two states of a folder exactly if its faces are the same with their corrections; undefined
 * where no face is changed.
 *
 * @param dir The folder.
 * @throws {InputError} As {@linkcode parseCorrections}.
 */
export function correctionsVersion(dir: string): string | undefined {
  const states = [...readCorrections(dir)].filter(([, correction]) => changesFace(correction))
    .sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, { landmarks, occluded = [], verdict }]) =>
      verdict === "rejected" ? [key, verdict] : [key, landmarks, [...occluded].sort((a, b) => a - b)]
    );
  return states.length ? JSON.stringify(states) : undefined;
}
