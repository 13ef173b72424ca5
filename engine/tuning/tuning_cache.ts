/**
 * The tuning cache: the fastest candidate of each kernel on an adapter, and the file that keeps it.
 *
 * The file is `.tuning/ADAPTER.json` in the folder of runs. A key names a kernel and its size. A candidate is used only if
 * the op still lists it, so an outdated entry has no effect.
 *
 * @module
 */

import { z } from "zod";
import { type ErrorCode, InputError } from "../../formats/input_error.ts";
import { makeFolderOf, readTextIfExists, writeAtomic } from "../../formats/files.ts";
import type { Candidate, KernelSelector } from "../graph.ts";
import { showCandidate } from "./select.ts";

/** The measurement of a kernel. */
export interface Tuned {
  /** The candidate; empty for the op's own kernel. */
  readonly choice: Candidate;
  /** Speed of the op's own kernel, GFLOP/s. */
  readonly default_gflops: number;
  /** Speed of the candidate, GFLOP/s. */
  readonly gflops: number;
}

/** Measured kernels by their keys. */
export type TunedKernels = Readonly<Record<string, Tuned>>;

/** A file of tuned kernels that cannot be used; the message gives the reason. */
export class TuningFileError extends InputError {
  /** The class. */
  override readonly name = "TuningFileError";
  /** See {@linkcode InputError}. */
  override readonly code: ErrorCode = "format";
}

/** Selects the kernels that were tuned, and records which were used. */
export class TunedSelector implements KernelSelector {
  /** Kernels that replaced the op's own. */
  readonly used: Record<string, Tuned> = {};

  /** @param tuned Measured kernels. */
  constructor(private readonly tuned: TunedKernels) {}

  /** See {@link KernelSelector}. */
  select(key: string, candidates: readonly Candidate[]): Candidate | undefined {
    const tuned = Object.hasOwn(this.tuned, key) ? this.tuned[key] : undefined;
    if (!tuned) return undefined;
    const choice = candidates.find((candidate) => showCandidate(candidate) === showCandidate(tuned.choice));
    if (choice && Object.keys(choice).length) this.used[key] = tuned;
    return choice;
  }
}

/** Path of the file of kernels tuned on an adapter. */
export function tuningFile(root: string, adapter: string): string {
  return `${root}/.tuning/${adapter.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.json`;
}

const fileSchema = z.looseObject({
  adapter: z.string(),
  tuned: z.record(
    z.string(),
    z.object({
      choice: z.record(z.string(), z.int()),
      default_gflops: z.number().positive(),
      gflops: z.number().positive(),
    }),
  ).default({}),
});

/** The key as {@linkcode kernelKey} writes it today: files of earlier versions call a frozen input `lasting`. */
function currentKey(key: string): string {
  return key.replaceAll(" lasting f", " frozen f");
}

/**
 * Reads a file of tuned kernels, or a stage's manifest, which has those that it used; none if there is no such file.
 *
 * @param adapter The adapter that it must be measured on; by default any.
 * @throws {TuningFileError} If it is damaged, or of another adapter.
 */
export function readTuned(path: string, adapter?: string): TunedKernels {
  const text = readTextIfExists(path);
  if (text === undefined) return {};
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new TuningFileError(`Cannot use the tuned kernels of ${path} as it is no JSON`);
  }
  const { success, data, error } = fileSchema.safeParse(json);
  if (!success) {
    const issues = error.issues.slice(0, 1).map(({ path: at, message }) => `at "${at.join(".")}": ${message}`);
    throw new TuningFileError(`Cannot use the tuned kernels of ${path}: ${issues}`);
  }
  if (adapter !== undefined && data.adapter !== adapter) {
    throw new TuningFileError(
      `Cannot use the tuned kernels of ${path} as they are of adapter "${data.adapter}", this one is "${adapter}"`,
    );
  }
  return Object.fromEntries(Object.entries(data.tuned).map(([key, tuned]) => [currentKey(key), tuned]));
}

/** Reads as {@linkcode readTuned} does; a file that cannot be used gives no kernels and a note. */
export function readIfUsable(path: string, adapter: string, note: (why: string) => void = () => {}): TunedKernels {
  try {
    return readTuned(path, adapter);
  } catch (error) {
    if (!(error instanceof TuningFileError)) throw error;
    note(error.message);
    return {};
  }
}

/** Writes a file of tuned kernels, for which the folder is made. */
export function writeTuned(path: string, adapter: string, tuned: TunedKernels): void {
  const sorted = Object.fromEntries(Object.entries(tuned).sort(([a], [b]) => a < b ? -1 : 1));
  makeFolderOf(path);
  writeAtomic(path, `${JSON.stringify({ adapter, tuned: sorted }, null, 1)}\n`);
}
