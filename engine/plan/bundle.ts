/**
 * Bundling: on hardware, where the host takes as long for a small dispatch as for a large one, small dispatches of one
 * kernel whose results are not needed soon become one.
 *
 * @module
 */

import { type Target, texels, type Value } from "../graph.ts";
import { itemAt } from "../lookup.ts";
import type { Step } from "../wgsl.ts";
import type { Dispatch } from "./records.ts";

/** Most dispatches in a bundle: each adds its code to the kernel. */
const MOST = 32;
/** Most texels that the dispatches of a bundle read, which are kept until it runs: 32 MiB. */
const MOST_TEXELS = 2 ** 21;
/** Fewest dispatches until a result is read for which its dispatch waits: others would end a bundle early. */
const LEAST_WAIT = 8;

/** Dispatches that wait to be carried out together. */
interface Bundle {
  readonly members: Dispatch[];
  /** The dispatch that reads the first of the results; infinity where none does. */
  due: number;
  texels: number;
}

/**
 * Merges dispatches whose kernels say how ({@linkcode Kernel.together}), where the target is hardware.
 *
 * @returns As many dispatches or fewer, in an order in which every value is written before it is read.
 */
export function bundle(dispatches: readonly Dispatch[], { tiled, fused, keepComposite, bindings }: Target): Dispatch[] {
  if (!tiled || fused === false || keepComposite) return [...dispatches];
  const firstRead = new Map<Value, number>();
  dispatches.forEach(({ reads }, k) => {
    for (const value of reads) if (!firstRead.has(value)) firstRead.set(value, k);
  });
  const open = new Map<string, Bundle>();
  const done: Dispatch[] = [];
  const close = (key: string, { members }: Bundle) => {
    open.delete(key);
    done.push(merged(members));
  };
  dispatches.forEach((dispatch, k) => {
    for (const [key, some] of [...open]) if (some.due === k) close(key, some);
    const { program: { kernel: { together } }, reads, writes, cached } = dispatch;
    const due = Math.min(...writes.map((value) => firstRead.get(value) ?? Infinity));
    if (!together || cached || due - k < LEAST_WAIT) {
      done.push(dispatch);
      return;
    }
    const size = reads.reduce((sum, { shape }) => sum + texels(shape), 0);
    const known = open.get(together.key);
    if (known && !fits(known, dispatch, size, bindings)) close(together.key, known);
    const into = open.get(together.key) ?? { members: [], due, texels: 0 };
    into.members.push(dispatch);
    into.due = Math.min(into.due, due);
    into.texels += size;
    open.set(together.key, into);
  });
  for (const [key, some] of [...open]) close(key, some);
  return done;
}

/** True if a dispatch may join a bundle. */
function fits({ members, texels }: Bundle, dispatch: Dispatch, more: number, bindings: number): boolean {
  const all = [...members, dispatch];
  const bound = new Set(all.flatMap(({ reads }) => reads)).size +
    all.reduce((sum, { writes }) => sum + writes.length, 0);
  return all.length <= MOST && bound <= bindings && texels + more <= MOST_TEXELS;
}

/** One dispatch in place of several. */
function merged(members: readonly Dispatch[]): Dispatch {
  const first = itemAt(members, 0, "dispatches of a bundle");
  const { together } = first.program.kernel;
  if (members.length === 1 || !together) return first;
  const reads = [...new Set(members.flatMap((member) => member.reads))];
  const moved = <Part extends { readonly slot: number }>(part: Part, from: Dispatch): Part => ({
    ...part,
    slot: reads.indexOf(itemAt(from.reads, part.slot, "reads")),
  });
  const steps = (given: readonly Step[], from: Dispatch) =>
    given.map((step) => "slot" in step ? moved(step, from) : step);
  return {
    ...first,
    program: {
      kernel: together.merge(members.map(({ program }) => program.kernel)),
      reads: reads.length,
      loads: members.flatMap((from) =>
        from.program.loads.map((load) =>
          "slot" in load ? moved(load, from) : { ...load, steps: steps(load.steps, from) }
        )
      ),
      stores: members.flatMap((from) =>
        from.program.stores.map((store) => ({ ...store, steps: steps(store.steps, from) }))
      ),
    },
    reads,
    writes: members.flatMap(({ writes }) => writes),
    flops: members.reduce((sum, { flops }) => sum + flops, 0),
  };
}
