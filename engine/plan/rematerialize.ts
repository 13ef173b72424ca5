/**
 * Rematerialisation: less memory for more arithmetic. Values that a plan would keep for long are recomputed where they
 * are needed.
 *
 * A dispatch is repeated as it is, with the values that it read, so that the results are the same to the bit.
 *
 * Source: Chen et al. 2016, arXiv 1604.06174; the values to drop are searched for greedily, cheap ones first.
 *
 * @module
 */

import { type Shape, texels, type Value } from "../graph.ts";
import { itemAt, lookUp } from "../lookup.ts";
import { lifeSpans } from "./liveness.ts";
import type { Dispatch } from "./records.ts";

/** Part of the peak by which a call of {@linkcode Rematerializer.reduce} lowers it. */
const STEP = 0.05;
/** Attempts in a row without a gain, after which the search ends. */
const PATIENCE = 96;

/** Dispatches, repeated ones included. */
interface Sequence {
  readonly dispatches: readonly Dispatch[];
  /** By dispatch: its position in the plan, or that of the dispatch for which it is repeated. */
  readonly at: readonly number[];
}

/** Memory in use during each dispatch, in texels. */
interface Load {
  /** The dispatch that writes a value. */
  readonly made: ReadonlyMap<Value, number>;
  /** The last dispatch that reads a value, or that writes it where none does. */
  readonly last: ReadonlyMap<Value, number>;
  readonly total: Float64Array;
  /** The dispatch with the largest total. */
  readonly peakIndex: number;
  /** Its total. */
  readonly peak: number;
}

/** A search for sequences of dispatches that need less and less memory. */
export class Rematerializer {
  readonly #dispatches: readonly Dispatch[];
  /** The dispatch that writes a value. */
  readonly #makers = new Map<Value, Dispatch>();
  readonly #kept: ReadonlySet<Value>;
  /** Texels by shape, which a value shares with those that take its place. */
  readonly #texels = new Map<Shape, number>();
  /** Dropped values, and the last dispatch of the plan that still finds them in memory. */
  #dropped: ReadonlyMap<Value, number> = new Map();

  /**
   * @param dispatches Dispatches of a plan.
   * @param kept Values that must stay: outputs and new values of parameters.
   */
  constructor(dispatches: readonly Dispatch[], kept: ReadonlySet<Value>) {
    this.#dispatches = dispatches;
    this.#kept = kept;
    for (const dispatch of dispatches) {
      for (const value of dispatch.writes) {
        this.#makers.set(value, dispatch);
        this.#texels.set(value.shape, texels(value.shape));
      }
    }
  }

  /**
   * Searches for dispatches that need a little less memory than the last result.
   *
   * @returns Null if there are none.
   */
  reduce(): readonly Dispatch[] | null {
    let sequence = this.#sequence(this.#dropped);
    let load = this.#load(sequence);
    const limit = load.peak * (1 - STEP);
    const refused = new Set<Value>();
    for (let inVain = 0; load.peak > limit && inVain < PATIENCE;) {
      const candidates = this.#candidates(sequence, load).filter((value) => !refused.has(value));
      const [first] = candidates;
      if (!first) break;
      // The memory of dispatches that are repeated before another one counts as its own.
      const { at } = sequence;
      const position = itemAt(at, load.peakIndex, "positions of dispatches");
      const split = position - Number(position === at[load.peakIndex + 1]);
      const drop = (values: readonly Value[]) => {
        const dropped = new Map([...this.#dropped, ...values.map((value) => [value, split] as const)]);
        const next = this.#sequence(dropped);
        const now = this.#load(next);
        if (excess(now, limit) >= excess(load, limit)) return false;
        [this.#dropped, sequence, load, inVain] = [dropped, next, now, 0];
        return true;
      };
      // Several at a time while that helps, then one by one.
      if (drop(candidates.slice(0, 1 + (candidates.length >> 3))) || drop([first])) continue;
      refused.add(first);
      inVain++;
    }
    return load.peak === 0 || load.peak > limit ? null : sequence.dispatches;
  }

  /** Values that live across the peak without being used there: cheap ones first, then by work for each texel. */
  #candidates({ dispatches }: Sequence, { made, last, peakIndex }: Load): Value[] {
    const peak = itemAt(dispatches, peakIndex, "dispatches");
    const used = new Set([...peak.reads, ...peak.writes]);
    const work = (value: Value) => {
      const { bound, flops } = lookUp(this.#makers, value, "dispatches by result");
      return bound === "memory" ? 0 : flops / this.#texelsOf(value);
    };
    return [...made]
      .filter(([value]) => this.#makers.has(value) && !this.#dropped.has(value) && !this.#kept.has(value))
      .filter(([value, from]) => from < peakIndex && (last.get(value) ?? 0) > peakIndex && !used.has(value))
      .map(([value]) => value)
      .sort((a, b) => work(a) - work(b) || this.#texelsOf(b) - this.#texelsOf(a));
  }

  /** The plan's dispatches, each after those that recompute the dropped values it needs. */
  #sequence(dropped: ReadonlyMap<Value, number>): Sequence {
    const dispatches: Dispatch[] = [];
    const at: number[] = [];
    const recomputed = new Map<Value, Value>();
    const available = (value: Value, k: number): Value => {
      const split = dropped.get(value);
      if (split === undefined || k <= split) return value;
      const known = recomputed.get(value);
      if (known) return known;
      const maker = lookUp(this.#makers, value, "dispatches by result");
      const reads = maker.reads.map((read) => available(read, k));
      const writes = maker.writes.map((write): Value => {
        const copy = { ...write };
        recomputed.set(write, copy);
        return copy;
      });
      dispatches.push({ ...maker, reads, writes });
      at.push(k);
      return lookUp(recomputed, value, "recomputed values");
    };
    this.#dispatches.forEach((dispatch, k) => {
      const reads = dispatch.reads.map((read) => available(read, k));
      dispatches.push(reads.every((read, j) => read === dispatch.reads[j]) ? dispatch : { ...dispatch, reads });
      at.push(k);
    });
    return { dispatches, at };
  }

  #load({ dispatches }: Sequence): Load {
    const { made, last } = lifeSpans(dispatches);
    const change = new Float64Array(dispatches.length + 1);
    const add = (k: number, count: number) => change[k] = (change[k] ?? 0) + count;
    for (const [value, from] of made) {
      add(from, this.#texelsOf(value));
      add(lookUp(last, value, "last reads") + 1, -this.#texelsOf(value));
    }
    let sum = 0;
    const total = change.subarray(0, -1).map((texels) => sum += texels);
    const peak = total.reduce((a, b) => Math.max(a, b), 0);
    return { made, last, total, peakIndex: total.indexOf(peak), peak };
  }

  #texelsOf({ shape }: Value): number {
    return lookUp(this.#texels, shape, "texels by shape");
  }
}

/** Texels by which a limit is exceeded, over all dispatches; a little more, to compare two loads that exceed it equally. */
function excess({ total, peak }: Load, limit: number): number {
  return total.reduce((sum, texels) => sum + Math.max(0, texels - limit), 0) + peak;
}
