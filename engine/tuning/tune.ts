/**
 * Tuning: the candidates of ops are checked against the ops' own kernels and timed against them on this adapter.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { readIfUsable, type Tuned, writeTuned } from "./tuning_cache.ts";
import { kernelKey, showCandidate } from "./select.ts";
import type { Device } from "../device.ts";
import { type Candidate, elements, type Node, showShape, type Target } from "../graph.ts";
import { decompose } from "../plan/decompose.ts";
import { type Fetches, frozenIn, type PlanObserver } from "../plan/records.ts";
import {
  type BenchmarkedKernel,
  CandidateRun,
  compare,
  type Comparison,
  FASTER,
  KernelBenchmark,
  PRUNE_RATIO,
  relativeDifference,
} from "./benchmark.ts";

/** A kernel that has candidates, with its share of the work; its node is the largest of the key. */
export interface Tunable extends BenchmarkedKernel {
  /** Floating point operations of that node. */
  readonly flops: number;
  /** Those of all nodes of the key. */
  readonly work: number;
}

/** A computation, and how often it is carried out. */
export interface Work {
  readonly fetches: Fetches;
  /** Returns true for the name of a parameter in f16. */
  readonly isF16?: Target["isF16"];
  readonly times: number;
}

/** The part of the work whose kernels are tuned by default: each of the others does little. */
export const TUNED_PART = 0.8;

/** Largest difference of a candidate's result, relative to the largest number of the result: that of the tests of ops. */
const TOLERANCE = 1e-5;

/** Kernels with candidates of a list of computations, those with the most work first. */
export function tunables(work: Iterable<Work>, device: Pick<Device, "storage" | "bindings" | "tiled">): Tunable[] {
  const { storage, bindings, tiled } = device;
  const found = new Map<string, Tunable>();
  for (const { fetches, isF16, times } of work) {
    const isFrozen = frozenIn(fetches);
    const target: Target = { storage, bindings, tiled, isFrozen, ...(isF16 && { isF16 }) };
    for (const node of decompose(fetches, { ...target, keepComposite: true }).nodes) {
      const lowering = node.op?.lowering;
      if (lowering?.kind !== "kernel" || !lowering.tune) continue;
      const key = kernelKey(node, lowering.kernel(node, target, {}), target);
      const flops = node.op!.flops?.(node) ?? elements(node.outputs[0]!.shape);
      const known = found.get(key);
      const inputs = node.inputs.map((value) => {
        const { leaf } = value.node;
        return { f16: leaf?.kind === "parameter" && (isF16?.(leaf.name) ?? false), frozen: isFrozen(value) };
      });
      const largest = known && known.flops >= flops ? known : { key, node, inputs, flops };
      found.set(key, { ...largest, work: (known?.work ?? 0) + flops * times });
    }
  }
  return [...found.values()].sort((a, b) => b.work - a.work);
}

/**
 * The work of a run of a stage, as far as it is planned for its costs.
 *
 * @param costs Computes the costs and reports each of their plans to the observer.
 */
export async function workOfStage(
  costs: (onPlan: PlanObserver) => Promise<{ readonly steps?: unknown } | undefined>,
): Promise<Work[]> {
  const planned = new Map<Fetches, Target>();
  const { steps } = await costs((fetches, target) => planned.set(fetches, target)) ?? {};
  const times = typeof steps === "number" ? steps : 1;
  return [...planned].map(([fetches, { isF16 }]) => ({ fetches, ...(isF16 && { isF16 }), times }));
}

/** The first kernels of {@linkcode tunables} that together do a given part of the work. */
export function mostOf(kernels: readonly Tunable[], part: number): Tunable[] {
  let left = part * kernels.reduce((sum, { work }) => sum + work, 0);
  return kernels.filter(({ work }) => (left -= work) + work > 0);
}

/** `conv2d [4, 32, 32, 64] [3, 3, 64, 64]`. */
export function showTunable({ node, inputs }: Pick<Tunable, "node" | "inputs">): string {
  const shapes = node.inputs.map(({ shape }, k) => `${inputs[k]!.f16 ? "f16 " : ""}${showShape(shape)}`);
  return [node.op!.name, ...shapes].join(" ");
}

/** Tunes kernels on a device, one after the other. */
export class Tuner {
  /** Candidates of an op that are much too slow on this adapter. */
  readonly #pruned = new Set<string>();

  /** @param note Receives a line for each candidate that is dropped. */
  constructor(private readonly device: Device, private readonly note: (line: string) => void) {}

  /**
   * Measures the candidates of a kernel.
   *
   * @param signal Aborted to stop before the next candidate.
   * @returns The fastest candidate if it takes at most 95 % of the time of the op's own kernel; otherwise the op's own.
   */
  async tune(tunable: Tunable, signal?: AbortSignal): Promise<Tuned> {
    using benchmark = new KernelBenchmark(this.device, tunable);
    using baseline = new CandidateRun(benchmark, {});
    const want = await baseline.results();
    const batch = await baseline.batchSize();
    let best = { choice: {} as Candidate, ratio: 1 };
    let baseline_ms = 0;
    for (const candidate of this.#distinct(tunable, benchmark)) {
      signal?.throwIfAborted();
      const compared = await this.#tryOut(candidate, { tunable, benchmark, baseline, want, batch, best: best.ratio });
      if (!compared) continue;
      baseline_ms ||= compared.baseline_ms;
      if (compared.ratio <= best.ratio * FASTER) best = { choice: candidate, ratio: compared.ratio };
    }
    baseline_ms ||= await baseline.time(batch);
    const default_gflops = Number((tunable.flops / baseline_ms / 1e6).toPrecision(4));
    return { choice: best.choice, default_gflops, gflops: Number((default_gflops / best.ratio).toPrecision(4)) };
  }

  /** Candidates that build a kernel of their own: where a shape is too small for one, ops build an earlier one again. */
  *#distinct({ node }: Tunable, benchmark: KernelBenchmark): Generator<Candidate> {
    const kernels = new Set([benchmark.describe({})]);
    for (const candidate of candidatesOf(node).slice(1)) {
      const kernel = benchmark.describe(candidate);
      if (kernels.has(kernel)) continue;
      kernels.add(kernel);
      if (!this.#pruned.has(pruneKey(node, candidate))) yield candidate;
    }
  }

  /**
   * Checks a candidate's result and times it.
   *
   * @returns Null if the candidate fails or is wrong; a note gives the reason.
   */
  async #tryOut(
    candidate: Candidate,
    { tunable, benchmark, baseline, want, batch, best }: {
      readonly tunable: Tunable;
      readonly benchmark: KernelBenchmark;
      readonly baseline: CandidateRun;
      readonly want: readonly Float32Array[];
      readonly batch: number;
      readonly best: number;
    },
  ): Promise<Comparison | null> {
    let run: CandidateRun | null = null;
    try {
      const error = await this.#errorOf(async () => {
        run = new CandidateRun(benchmark, candidate);
        const difference = relativeDifference(await run.results(), want);
        if (!(difference <= TOLERANCE)) throw new Error(`its result is off by ${difference.toPrecision(2)}`);
      });
      if (error !== null || run === null) {
        this.note(`${showTunable(tunable)}: ${showCandidate(candidate)} is left out: ${error}`);
        return null;
      }
      const first = await compare(run, baseline, batch, best);
      if (first.ratio > PRUNE_RATIO) this.#pruned.add(pruneKey(tunable.node, candidate));
      if (first.ratio > best * FASTER) return first;
      // A candidate that was faster by chance will not be faster twice.
      const second = await compare(run, baseline, batch, best);
      return { ...first, ratio: Math.max(first.ratio, second.ratio) };
    } finally {
      (run as CandidateRun | null)?.[Symbol.dispose]();
    }
  }

  /** The error in one line, or null; the device does not see it. */
  async #errorOf(act: () => Promise<void>): Promise<string | null> {
    const { gpu } = this.device;
    const scopes = ["validation", "internal", "out-of-memory"] as const;
    for (const scope of scopes) gpu.pushErrorScope(scope);
    let thrown: Error | null = null;
    try {
      await act();
    } catch (error) {
      thrown = error as Error;
    }
    const errors: (Error | GPUError | null)[] = [];
    for (const _ of scopes) errors.push(await gpu.popErrorScope());
    // The device's own error comes first; a thrown one follows from it.
    const error = [...errors, thrown].find((one) => one !== null);
    if (error instanceof Error) this.device.check();
    return error ? error.message.split("\n").map((line) => line.trim()).filter(Boolean).slice(0, 2).join(" ") : null;
  }
}

/** Options of a tuning. */
export interface TuneOptions {
  /** The file that keeps the measurements; see {@linkcode tuningFile}. */
  readonly path: string;
  /** True if to measure kernels again that are in the file. */
  readonly again?: boolean;
  /** Aborted to stop before the next candidate. */
  readonly signal?: AbortSignal | undefined;
  /** Receives a line for each candidate that is dropped or ignored. */
  readonly note: (line: string) => void;
}

/** The choice for a kernel. */
export interface TuningResult {
  /** The kernel. */
  readonly kernel: Tunable;
  /** Its choice, with the speeds that were measured. */
  readonly tuned: Tuned;
  /** True if an earlier tuning has chosen. */
  readonly known: boolean;
}

/**
 * Tunes kernels that are not in the file yet, and keeps each result there at once; a file that cannot be used is noted
 * and replaced.
 *
 * @returns Each kernel as it is done.
 */
export async function* tuneAll(
  device: Device,
  kernels: readonly Tunable[],
  { path, again = false, signal, note }: TuneOptions,
): AsyncGenerator<TuningResult> {
  const read = () => readIfUsable(path, device.name);
  let all = readIfUsable(path, device.name, (line) => note(`${line}; it is written anew`));
  const tuner = new Tuner(device, note);
  for (const kernel of kernels) {
    const before = again ? undefined : all[kernel.key];
    // A choice that the op lists no more is measured anew.
    if (before && candidatesOf(kernel.node).some((one) => showCandidate(one) === showCandidate(before.choice))) {
      yield { kernel, tuned: before, known: true };
    } else {
      let tuned: Tuned;
      try {
        tuned = await tuner.tune(kernel, signal);
      } catch (error) {
        if (!(error instanceof InputError)) throw error; // else it does not fit on the adapter
        note(`${showTunable(kernel)} is left out: ${error.message}`);
        continue;
      }
      // Read again, as another process may have written meanwhile.
      all = { ...read(), [kernel.key]: tuned };
      writeTuned(path, device.name, all);
      yield { kernel, tuned, known: false };
    }
  }
}

function pruneKey({ op }: Node, candidate: Candidate): string {
  return `${op?.name}: ${showCandidate(candidate)}`;
}

function candidatesOf(node: Node): readonly Candidate[] {
  const { lowering } = node.op!;
  return lowering.kind === "kernel" ? lowering.tune ?? [] : [];
}
