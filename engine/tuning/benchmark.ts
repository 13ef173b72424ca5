/**
 * Timing of kernels: a kernel alone on made-up data, its candidates, and the comparison of a candidate with the baseline.
 *
 * Times are wall-clock times around a batch of dispatches, because timestamps of software drivers do not wait for the
 * work. A candidate and the baseline take turns, so that other load on the machine slows both.
 *
 * @module
 */

import type { Device } from "../device.ts";
import { Executable } from "../executable.ts";
import { type Candidate, elements, Graph, type Node } from "../graph.ts";
import { plan } from "../plan/plan.ts";
import type { Fetches } from "../plan/records.ts";
import { Tensor } from "../tensor.ts";
import { repetitionsFor } from "./repetitions.ts";

/** A candidate must take at most this part of the baseline's time. */
export const FASTER = 0.95;
/** A candidate this many times as slow as the baseline is not tried on other shapes. */
export const PRUNE_RATIO = 3;
/** Least duration of a timing: a wait costs about 12 ms on Deno, whatever the work. */
const BATCH_MS = 80;
/** Pairs of timings of a comparison, unless the first ones decide: the candidate is no faster, or far faster in each. */
const PAIRS = 9;
const FIRST_PAIRS = 3;
const FAR = 0.8;

/** The kernel to time: a node, with the type and the role of its inputs. */
export interface BenchmarkedKernel {
  /** See {@linkcode kernelKey}. */
  readonly key: string;
  /** An application of the op, which gives the shapes. */
  readonly node: Node;
  /** By input: whether it is f16, and whether it is the same in every run. */
  readonly inputs: readonly { readonly f16: boolean; readonly frozen: boolean }[];
}

/** A kernel alone, with made-up data. */
export class KernelBenchmark implements Disposable {
  /** Outputs of the node. */
  readonly fetches: Fetches;
  /** Frozen inputs. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Other inputs. */
  readonly inputs: Readonly<Record<string, Float32Array>>;
  readonly #owned: DisposableStack;

  /** Allocates the frozen inputs. */
  constructor(readonly device: Device, private readonly kernel: BenchmarkedKernel) {
    const { node: { op, inputs, attrs } } = kernel;
    if (!op) throw new TypeError("Cannot time a leaf of a graph: no op computes it");
    using owned = new DisposableStack();
    const graph = new Graph();
    const parameters = new Map<string, Tensor>();
    const data: Record<string, Float32Array> = {};
    const values = inputs.map(({ shape }, k) => {
      const name = `x${k}`;
      const numbers = noise(elements(shape), k);
      const { f16 = false, frozen = false } = kernel.inputs[k] ?? {};
      if (!f16 && !frozen) {
        data[name] = numbers;
        return graph.input(name, shape);
      }
      parameters.set(name, owned.use(new Tensor(device, shape, numbers, f16 ? "f16" : "f32")));
      return graph.parameter(name, shape);
    });
    this.parameters = parameters;
    this.inputs = data;
    const outputs = graph.apply(op, values, attrs);
    this.fetches = { outputs: Object.fromEntries(outputs.map((value, k) => [`y${k}`, value])) };
    this.#owned = owned.move();
  }

  /** The device as if a candidate had been selected. */
  selecting(candidate: Candidate): Device {
    const { key } = this.kernel;
    return { ...this.device, selector: { select: (asked) => asked === key ? candidate : undefined } };
  }

  /** Everything that makes up the kernels of a candidate: candidates of equal text are the same. */
  describe(candidate: Candidate): string {
    const { storage, bindings, tiled, selector } = this.selecting(candidate);
    const isF16 = (name: string) => this.parameters.get(name)?.storage.dtype === "f16";
    const { dispatches } = plan(this.fetches, { storage, bindings, tiled, isF16, ...(selector && { selector }) });
    return JSON.stringify(dispatches.map(({ program }) => program.kernel));
  }

  /** Frees the frozen inputs. */
  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}

/** A candidate, ready to run. */
export class CandidateRun implements Disposable {
  readonly #executable: Executable;

  /** Plans and allocates. */
  constructor(private readonly benchmark: KernelBenchmark, readonly candidate: Candidate) {
    this.#executable = new Executable(benchmark.selecting(candidate), benchmark.fetches, benchmark.parameters);
  }

  /** Runs once and returns the outputs. */
  async results(): Promise<Float32Array[]> {
    this.#executable.run(this.benchmark.inputs);
    const names = Object.keys(this.benchmark.fetches.outputs);
    return await Promise.all(names.map((name) => this.#executable.read(name)));
  }

  /** Milliseconds of a run, the mean of `count` runs. */
  async time(count: number): Promise<number> {
    return await this.#elapsed(count) / count;
  }

  /** Runs that a timing takes to be long enough to measure. */
  async batchSize(): Promise<number> {
    return await repetitionsFor(BATCH_MS, (count) => this.#elapsed(count));
  }

  async #elapsed(count: number): Promise<number> {
    const start = performance.now();
    for (let k = 0; k < count; k++) this.#executable.run();
    await this.benchmark.device.gpu.queue.onSubmittedWorkDone();
    return performance.now() - start;
  }

  /** Frees the allocations of the constructor. */
  [Symbol.dispose](): void {
    this.#executable.destroy();
  }
}

/** The outcome of {@linkcode compare}. */
export interface Comparison {
  /** Median of the candidate's time by the baseline's time. */
  readonly ratio: number;
  /** Median time of the baseline, ms. */
  readonly baseline_ms: number;
}

/**
 * Times a candidate and the baseline in turns.
 *
 * @param batch Runs of a timing.
 * @param best Ratio of the best candidate so far; the comparison ends early when the outcome against it is clear.
 */
export async function compare(
  run: CandidateRun,
  baseline: CandidateRun,
  batch: number,
  best: number,
): Promise<Comparison> {
  const ratios: number[] = [];
  const times: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const baseline_ms = await baseline.time(batch);
    // A few runs of a very slow candidate are enough.
    const alone = pair === 0 ? await run.time(1) : 0;
    const ms = alone > PRUNE_RATIO * baseline_ms * batch ? alone : await run.time(batch);
    times.push(baseline_ms);
    ratios.push(ms / baseline_ms);
    if (ms > PRUNE_RATIO * baseline_ms) break;
    if (pair + 1 < FIRST_PAIRS) continue;
    if (median(ratios) > best * FASTER || ratios.every((ratio) => ratio < best * FAR)) break;
  }
  return { ratio: median(ratios), baseline_ms: median(times) };
}

/** The largest difference of results, relative to their largest number; NaN if a result is not finite. */
export function relativeDifference(got: readonly Float32Array[], want: readonly Float32Array[]): number {
  let worst = 0;
  for (const [k, y] of want.entries()) {
    const other = got[k] ?? new Float32Array();
    let scale = 1e-6;
    let off = 0;
    for (const [j, v] of y.entries()) {
      scale = Math.max(scale, Math.abs(v));
      off = Math.max(off, Math.abs((other[j] ?? NaN) - v)); // NaN stays
    }
    worst = Math.max(worst, off / scale);
  }
  return worst;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

/** Numbers from -1 to 1 without structure. */
function noise(count: number, seed: number): Float32Array {
  const data = new Float32Array(count);
  let state = seed + 1 >>> 0;
  for (let k = 0; k < count; k++) {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    data[k] = state / 2 ** 31 - 1;
  }
  return data;
}
