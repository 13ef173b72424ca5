/**
 * Less memory for more arithmetic: values that a plan would keep for long are computed again where they are needed.
 *
 * A dispatch is repeated as it is, with what it read, so that the results are the same to the bit.
 *
 * Source: Chen et al. 2016, arXiv 1604.06174; which values go is searched for greedily, the cheap ones first.
 *
 * @module
 */

import { type Shape, texels, type Value } from "../graph.ts";
import type { Dispatch } from "./plan.ts";

/** By what part of the most memory a search tries to do better at a time. */
const STEP = 0.05;
/** Attempts in a row that bring nothing, after which it ends. */
const PATIENCE = 96;

/** Dispatches, those that are repeated among them. */
interface Sequence {
  readonly dispatches: readonly Dispatch[];
  /** The dispatch of the plan that each is, or for which it is repeated. */
  readonly at: readonly number[];
}

/** Values that are there during each dispatch, in texels. */
interface Load {
  /** The dispatch that writes a value. */
  readonly made: ReadonlyMap<Value, number>;
  /** The last that reads it, or writes it where none does. */
  readonly last: ReadonlyMap<Value, number>;
  readonly total: Float64Array;
  /** The dispatch with the most. */
  readonly peakIndex: number;
}

/** A search that goes on from what it has found. */
export class Rematerializer {
  readonly #dispatches: readonly Dispatch[];
  readonly #makers = new Map<Value, Dispatch>();
  readonly #kept: ReadonlySet<Value>;
  /** Texels by shape, which a value shares with those that take its place. */
  readonly #texels = new Map<Shape, number>();
  /** Values that are given up, and the last dispatch of the plan that still finds them. */
  #dropped = new Map<Value, number>();

  /** @param kept Values that must stay: fetches. */
  constructor(dispatches: readonly Dispatch[], kept: ReadonlySet<Value>) {
    this.#dispatches = dispatches;
    this.#kept = kept;
    for (const d of dispatches) {
      for (const value of d.writes) {
        this.#makers.set(value, d);
        this.#texels.set(value.shape, texels(value.shape));
      }
    }
  }

  /**
   * Searches for dispatches that need a little less memory than the last.
   *
   * @returns Null if it finds none.
   */
  reduce(): readonly Dispatch[] | null {
    let sequence = this.#sequence(this.#dropped);
    let load = this.#load(sequence);
    const limit = load.total[load.peakIndex]! * (1 - STEP);
    const refused = new Set<Value>();
    for (let in_vain = 0; load.total[load.peakIndex]! > limit && in_vain < PATIENCE;) {
      const candidates = this.#candidates(sequence, load).filter((value) => !refused.has(value));
      if (candidates.length === 0) break;
      // What is needed for a dispatch, to repeat others before it, counts as its own.
      const { at } = sequence;
      const split = at[load.peakIndex]! - Number(at[load.peakIndex] === at[load.peakIndex + 1]);
      // Several at a time while that helps, then one by one.
      const attempt = (some: readonly Value[]) => {
        const dropped = new Map([...this.#dropped, ...some.map((value) => [value, split] as const)]);
        const next = this.#sequence(dropped);
        const now = this.#load(next);
        if (excess(now, limit) >= excess(load, limit)) return false;
        [this.#dropped, sequence, load, in_vain] = [dropped, next, now, 0];
        return true;
      };
      if (attempt(candidates.slice(0, 1 + (candidates.length >> 3))) || attempt(candidates.slice(0, 1))) continue;
      refused.add(candidates[0]!);
      in_vain++;
    }
    return load.total[load.peakIndex]! > limit ? null : sequence.dispatches;
  }

  /** Values that wait during the worst dispatch for one that comes later: cheap ones first, then by work for each texel. */
  #candidates({ dispatches }: Sequence, { made, last, peakIndex }: Load): Value[] {
    const used = new Set([...dispatches[peakIndex]!.reads, ...dispatches[peakIndex]!.writes]);
    const work = (value: Value) => {
      const { bound, flops } = this.#makers.get(value)!;
      return bound === "memory" ? 0 : flops / this.#texels.get(value.shape)!;
    };
    return [...made.keys()]
      .filter((value) => this.#makers.has(value) && !this.#dropped.has(value) && !this.#kept.has(value))
      .filter((value) => made.get(value)! < peakIndex && last.get(value)! > peakIndex && !used.has(value))
      .sort((a, b) => work(a) - work(b) || this.#texels.get(b.shape)! - this.#texels.get(a.shape)!);
  }

  /** The plan's dispatches, before each those that make again what it needs and is dropped. */
  #sequence(dropped: ReadonlyMap<Value, number>): Sequence {
    const dispatches: Dispatch[] = [];
    const at: number[] = [];
    const again = new Map<Value, Value>();
    const there = (value: Value, k: number): Value => {
      const split = dropped.get(value);
      if (split === undefined || k <= split) return value;
      const known = again.get(value);
      if (known) return known;
      const maker = this.#makers.get(value)!;
      const reads = maker.reads.map((read) => there(read, k));
      const writes = maker.writes.map((write) => ({ ...write }));
      dispatches.push({ ...maker, reads, writes });
      at.push(k);
      maker.writes.forEach((write, j) => again.set(write, writes[j]!));
      return again.get(value)!;
    };
    this.#dispatches.forEach((dispatch, k) => {
      const reads = dispatch.reads.map((read) => there(read, k));
      dispatches.push(reads.every((read, j) => read === dispatch.reads[j]) ? dispatch : { ...dispatch, reads });
      at.push(k);
    });
    return { dispatches, at };
  }

  #load({ dispatches }: Sequence): Load {
    const [made, last] = [new Map<Value, number>(), new Map<Value, number>()];
    dispatches.forEach(({ reads, writes }, k) => {
      for (const value of writes) made.set(value, k), last.set(value, k);
      for (const value of reads) last.set(value, k);
    });
    const change = new Float64Array(dispatches.length + 1);
    for (const [value, from] of made) {
      const count = this.#texels.get(value.shape)!;
      change[from]! += count;
      change[last.get(value)! + 1]! -= count;
    }
    const total = new Float64Array(dispatches.length);
    let peakIndex = 0;
    for (let k = 0, sum = 0; k < total.length; k++) {
      total[k] = sum += change[k]!;
      if (sum > total[peakIndex]!) peakIndex = k;
    }
    return { made, last, total, peakIndex };
  }
}

/** By how much a limit is exceeded, over all dispatches; more than enough to tell the better of two. */
function excess({ total, peakIndex }: Load, limit: number): number {
  return total.reduce((sum, texels) => sum + Math.max(0, texels - limit), 0) + total[peakIndex]!;
}
