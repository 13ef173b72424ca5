/**
 * Tuning: the candidates of ops, held to the ops' own kernels and then timed against them on this adapter.
 *
 * Times are of the clock around a batch of dispatches, as timestamps of software drivers do not wait for the work; a
 * candidate and the op's own kernel take turns, so that what else the machine does slows both.
 *
 * @module
 */

import { kernelKey, readIfUsable, showCandidate, type Tuned, writeTuned } from "./tuning_cache.ts";
import type { Device } from "../device.ts";
import { type Candidate, elements, Graph, type Node, showShape, type Target } from "../graph.ts";
import { inParts } from "../plan/decompose.ts";
import { type Goals, lastingIn, plan, valuesOf, watchPlans } from "../plan/plan.ts";
import { Executable } from "../executable.ts";
import { Tensor } from "../tensor.ts";

/** A kernel that has candidates, and how much of the work is its. */
export interface Tunable {
  /** See {@linkcode kernelKey}. */
  readonly key: string;
  /** The largest node of the key. */
  readonly node: Node;
  /** Of each of its inputs, whether it is f16, and whether it stays as it is from run to run. */
  readonly inputs: readonly { readonly half: boolean; readonly lasting: boolean }[];
  /** Floating point operations of that node. */
  readonly flops: number;
  /** Those of all nodes of the key. */
  readonly work: number;
}

/** What is computed, and how often. */
export interface Work {
  readonly goals: Goals;
  /** Tells of a parameter's name whether it is f16. */
  readonly half?: Target["half"];
  readonly times: number;
}

/** The part of the work whose kernels are tuned unless told otherwise: each of the others does little. */
export const TUNED_PART = 0.8;

/** The most relative difference of a candidate's result, as of the tests of ops: to the largest number of the result. */
const TOLERANCE = 1e-5;
/** A candidate is taken if it needs at most this part of the time. */
const FASTER = 0.95;
/** A candidate this many times as slow as the op's own kernel is not tried on other shapes either. */
const HOPELESS = 3;
/** A timing spans as many runs as take so long: a wait costs about 12 ms on Deno, whatever the work. */
const BATCH_MS = 80;
/** Pairs of timings that a candidate gets, unless the first few tell enough: it is no faster, or faster by far in each. */
const PAIRS = 9;
const FIRST_PAIRS = 3;
const FAR = 0.8;

/** The kernels with candidates of all that is computed, those with the most work first. */
export function tunables(work: Iterable<Work>, device: Pick<Device, "storage" | "bindings" | "tiled">): Tunable[] {
  const { storage, bindings, tiled } = device;
  const found = new Map<string, Tunable>();
  for (const { goals, half, times } of work) {
    const lasting = lastingIn(goals);
    const target: Target = { storage, bindings, tiled, lasting, ...(half && { half }) };
    for (const node of inParts(valuesOf(goals), { ...target, whole: true }).nodes) {
      const lowering = node.op?.lowering;
      if (lowering?.kind !== "kernel" || !lowering.tune) continue;
      const key = kernelKey(node, lowering.kernel(node, target, {}), target);
      const flops = node.op!.flops?.(node) ?? elements(node.outputs[0]!.shape);
      const known = found.get(key);
      const inputs = node.inputs.map((value) => {
        const { leaf } = value.node;
        return { half: leaf?.kind === "parameter" && (half?.(leaf.name) ?? false), lasting: lasting(value) };
      });
      const largest = known && known.flops >= flops ? known : { key, node, inputs, flops };
      found.set(key, { ...largest, work: (known?.work ?? 0) + flops * times });
    }
  }
  return [...found.values()].sort((a, b) => b.work - a.work);
}

/** What a run of a stage computes, as far as it is planned for its costs. */
export async function workOfStage(costs: () => Promise<{ readonly steps?: unknown } | undefined>): Promise<Work[]> {
  const planned = new Map<Goals, Target>();
  using _watch = watchPlans((goals, target) => void planned.set(goals, target));
  const { steps } = await costs() ?? {};
  const times = typeof steps === "number" ? steps : 1;
  return [...planned].map(([goals, { half }]) => ({ goals, ...(half && { half }), times }));
}

/** The first kernels of {@linkcode tunables}, which together do a part of the work. */
export function mostOf(kernels: readonly Tunable[], part: number): Tunable[] {
  let left = part * kernels.reduce((sum, { work }) => sum + work, 0);
  return kernels.filter(({ work }) => (left -= work) + work > 0);
}

/** `conv2d [4, 32, 32, 64] [3, 3, 64, 64]`. */
export function showTunable({ node, inputs }: Pick<Tunable, "node" | "inputs">): string {
  const shapes = node.inputs.map(({ shape }, k) => `${inputs[k]!.half ? "f16 " : ""}${showShape(shape)}`);
  return [node.op!.name, ...shapes].join(" ");
}

/** Tunes kernels on a device, one after the other. */
export class Tuner {
  /** Candidates of an op that are much too slow on this adapter. */
  readonly #hopeless = new Set<string>();

  /** @param note Is told of candidates that are dropped, a line each. */
  constructor(private readonly device: Device, private readonly note: (line: string) => void) {}

  /**
   * Measures the candidates of a kernel.
   *
   * @param signal Aborted to stop before the next candidate.
   * @returns The fastest of them if it takes at most 95 % of the time of the op's own kernel, which is returned otherwise.
   */
  async tune(tunable: Tunable, signal?: AbortSignal): Promise<Tuned> {
    const { node, flops } = tunable;
    const given = new Given(this.device, tunable);
    let own: Rival | null = null;
    try {
      own = new Rival(given, {});
      const want = await own.results();
      const batch = await batchOf(own);
      let best = { choice: {} as Candidate, ratio: 1 };
      let own_ms = 0;
      const kernels = [given.kernels({})];
      for (const candidate of candidatesOf(node).slice(1)) {
        signal?.throwIfAborted();
        const same = given.kernels(candidate);
        // Where a shape is too small for a candidate, ops build what was there before.
        if (kernels.includes(same)) continue;
        kernels.push(same);
        const name = `${node.op!.name}: ${showCandidate(candidate)}`;
        if (this.#hopeless.has(name)) continue;
        const drop = (why: string) =>
          this.note(`${showTunable(tunable)}: ${showCandidate(candidate)} is left out: ${why}`);
        let rival: Rival | undefined;
        const error = await this.#errorOf(async () => {
          rival = new Rival(given, candidate);
          const difference = differenceOf(await rival.results(), want);
          if (!(difference <= TOLERANCE)) throw new Error(`its result is off by ${difference.toPrecision(2)}`);
        });
        if (error === null) {
          const duel = await fight(rival!, own, batch, best.ratio);
          if (duel.ratio > HOPELESS) this.#hopeless.add(name);
          own_ms ||= duel.own_ms;
          // What won among several by chance will not win again.
          if (duel.ratio <= best.ratio * FASTER) {
            const again = await fight(rival!, own, batch, best.ratio);
            if (again.ratio <= best.ratio * FASTER) {
              best = { choice: candidate, ratio: Math.max(duel.ratio, again.ratio) };
            }
          }
        } else drop(error);
        rival?.executable.destroy();
      }
      own_ms ||= await own.time(batch);
      const default_gflops = Number((flops / own_ms / 1e6).toPrecision(4));
      return { choice: best.choice, default_gflops, gflops: Number((default_gflops / best.ratio).toPrecision(4)) };
    } finally {
      own?.executable.destroy();
      given.destroy();
    }
  }

  /** What went wrong, in one line, or null; the device is not told of it. */
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
    // The device's own words come first: what is thrown follows from it.
    const error = [...errors, thrown].find((one) => one !== null);
    if (error instanceof Error) this.device.check();
    return error ? error.message.split("\n").map((line) => line.trim()).filter(Boolean).slice(0, 2).join(" ") : null;
  }
}

/** How to tune. */
export interface TuneOptions {
  /** The file that keeps what was measured; see {@linkcode tuningFile}. */
  readonly path: string;
  /** Whether to measure kernels again that are in the file. */
  readonly again?: boolean;
  /** Aborted to stop before the next candidate. */
  readonly signal?: AbortSignal | undefined;
  /** Is told of what is dropped or ignored, a line each. */
  readonly note: (line: string) => void;
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
): AsyncGenerator<{ readonly kernel: Tunable; readonly tuned: Tuned; readonly known: boolean }> {
  const read = () => readIfUsable(path, device.name);
  let all = readIfUsable(path, device.name, (line) => note(`${line}; it is written anew`));
  const tuner = new Tuner(device, note);
  for (const kernel of kernels) {
    const before = again ? undefined : all[kernel.key];
    // What an op lists no more is measured anew.
    if (before && candidatesOf(kernel.node).some((one) => showCandidate(one) === showCandidate(before.choice))) {
      yield { kernel, tuned: before, known: true };
    } else {
      let tuned: Tuned;
      try {
        tuned = await tuner.tune(kernel, signal);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error; // else it does not fit on the adapter
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

/** A kernel alone, with made-up data. */
class Given {
  readonly goals: Goals;
  /** What lasts. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** What does not. */
  readonly inputs: Readonly<Record<string, Float32Array>>;

  constructor(readonly device: Device, private readonly tunable: Tunable) {
    const { node: { op, inputs, attrs } } = tunable;
    const graph = new Graph();
    const values = inputs.map(({ shape }, k) => graph[this.#lasts(k) ? "parameter" : "input"](`x${k}`, shape));
    const data = values.map(({ shape }, k) => [`x${k}`, noise(elements(shape), k)] as const);
    this.parameters = new Map(
      data.filter((_, k) => this.#lasts(k)).map(([name, numbers]) => {
        const k = Number(name.slice(1));
        return [name, new Tensor(device, values[k]!.shape, numbers, tunable.inputs[k]!.half ? "f16" : "f32")];
      }),
    );
    this.inputs = Object.fromEntries(data.filter((_, k) => !this.#lasts(k)));
    const outputs = graph.apply(op!, values, attrs);
    this.goals = { outputs: Object.fromEntries(outputs.map((value, k) => [`y${k}`, value])) };
  }

  #lasts(k: number): boolean {
    const { half, lasting } = this.tunable.inputs[k]!;
    return half || lasting;
  }

  /** The device as if a candidate had been chosen. */
  choosing(candidate: Candidate): Device {
    const { key } = this.tunable;
    return { ...this.device, choices: { choose: (asked) => asked === key ? candidate : undefined } };
  }

  /** All that makes up the kernels of a candidate. */
  kernels(candidate: Candidate): string {
    const { storage, bindings, tiled, choices } = this.choosing(candidate);
    const half = (name: string) => this.parameters.get(name)?.storage.dtype === "f16";
    const { dispatches } = plan(this.goals, { storage, bindings, tiled, half, choices: choices! });
    return JSON.stringify(dispatches.map(({ program }) => program.kernel));
  }

  destroy(): void {
    for (const tensor of this.parameters.values()) tensor.destroy();
  }
}

/** A candidate at work. */
class Rival {
  readonly executable: Executable;

  constructor(private readonly given: Given, candidate: Candidate) {
    this.executable = new Executable(given.choosing(candidate), given.goals, given.parameters);
  }

  /** Runs once. */
  async results(): Promise<Float32Array[]> {
    this.executable.run(this.given.inputs);
    return await Promise.all(Object.keys(this.given.goals.outputs).map((name) => this.executable.read(name)));
  }

  /** Milliseconds of a run, over `count` of them. */
  async time(count: number): Promise<number> {
    const start = performance.now();
    for (let k = 0; k < count; k++) this.executable.run();
    await this.given.device.gpu.queue.onSubmittedWorkDone();
    return (performance.now() - start) / count;
  }
}

function candidatesOf(node: Node): readonly Candidate[] {
  const { lowering } = node.op!;
  return lowering.kind === "kernel" ? lowering.tune ?? [] : [];
}

/** How many runs a timing spans. */
async function batchOf(own: Rival): Promise<number> {
  const once = await own.time(1);
  if (once >= BATCH_MS) return 1;
  return Math.ceil(BATCH_MS / await own.time(4));
}

/** Times a candidate and the op's own kernel in turns: the median of the ratios of their times, and the op's own time. */
async function fight(
  rival: Rival,
  own: Rival,
  batch: number,
  best: number,
): Promise<{ ratio: number; own_ms: number }> {
  const ratios: number[] = [];
  const times: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const own_ms = await own.time(batch);
    // Of what is very slow, a few runs tell enough.
    const alone = pair === 0 ? await rival.time(1) : 0;
    const ms = alone > HOPELESS * own_ms * batch ? alone : await rival.time(batch);
    times.push(own_ms);
    ratios.push(ms / own_ms);
    if (ms > HOPELESS * own_ms) break;
    if (pair + 1 < FIRST_PAIRS) continue;
    if (median(ratios) > best * FASTER || ratios.every((ratio) => ratio < best * FAR)) break;
  }
  return { ratio: median(ratios), own_ms: median(times) };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
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

/** The largest difference of results, relative to their largest number; NaN if one is not finite. */
function differenceOf(got: readonly Float32Array[], want: readonly Float32Array[]): number {
  let worst = 0;
  for (const [k, y] of want.entries()) {
    let scale = 1e-6;
    let off = 0;
    for (let j = 0; j < y.length; j++) {
      scale = Math.max(scale, Math.abs(y[j]!));
      off = Math.max(off, Math.abs(got[k]![j]! - y[j]!)); // NaN stays
    }
    worst = Math.max(worst, off / scale);
  }
  return worst;
}
