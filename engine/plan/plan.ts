/**
 * Plans a graph: dead nodes are dropped, element-wise chains fused into one kernel, into the loads of a reduction or
 * into the epilogue of the op before, and storage is assigned by liveness. Touches no GPU.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { kernelOf } from "../tuning/tuning_cache.ts";
import {
  type AnyOp,
  elements,
  type Kernel,
  type Node,
  sameShape,
  type Shape,
  showShape,
  type Target,
  texels,
  type Value,
} from "../graph.ts";
import { decompose } from "./decompose.ts";
import { formatBytes } from "../../formats/numbers.ts";
import { Rematerializer } from "./rematerialize.ts";
import { storageBytes } from "../tensor.ts";
import { type Indexing, type Load, type Program, stagedBytes, type Step, type Store } from "../wgsl.ts";

/** A program with the tensors it reads and writes. */
export interface Dispatch {
  readonly program: Program;
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
  /** Floating point operations, fused ones included. */
  readonly flops: number;
  /** See {@linkcode AnyOp.bound}. */
  readonly bound: AnyOp["bound"];
  /** The op that gives the dispatch its name. */
  readonly name: string;
  /** True if it is carried out only when what it reads was written since its last execution. */
  readonly cached: boolean;
}

/** An update of a parameter, carried out between two dispatches. */
export interface Copy {
  readonly parameter: Value;
  readonly value: Value;
  /** How many dispatches come before it. */
  readonly after: number;
}

/** Slices of the staging buffer that a dispatch writes its results to, on devices that stage: {@linkcode Device.staged}. */
export interface Staging {
  /** True if the staging buffer is copied to the textures first: the dispatch touches a staged result, or the buffer is full. */
  readonly flushBefore: boolean;
  /** Slice of the staging buffer by result, in bytes; null for a result that is written to its texture. */
  readonly slices: readonly ({ readonly offset: number; readonly size: number } | null)[];
}

/** What to compute: values to read back by name, and new values of parameters. */
export interface Fetches {
  /** Values that can be read after a run. */
  readonly outputs: Readonly<Record<string, Value>>;
  /** Assignments of a run: parameter, new value. What else reads the parameter in the same run sees the old one. */
  readonly updates?: readonly (readonly [Value, Value])[];
}

/** A graph made ready to run. */
export interface Plan {
  readonly target: Target;
  readonly dispatches: readonly Dispatch[];
  /** Updates, in the order in which they are carried out. */
  readonly copies: readonly Copy[];
  /** Parameters by new values that are copied there from the staging buffer, and are stored nowhere else. */
  readonly inPlaceUpdates: ReadonlyMap<Value, Value>;
  /** Slices of the staging buffer, by dispatch. */
  readonly staging: readonly Staging[];
  /** Leaves that the dispatches or fetches use. */
  readonly leaves: readonly Value[];
  /** Pool slot of every computed value that is stored. */
  readonly slots: ReadonlyMap<Value, number>;
  /** Texels of each pool slot. */
  readonly pool: readonly number[];
  /** The stored value behind a value: itself, or what it is a view of. */
  resolve(value: Value): Value;
  readonly fetches: Fetches;
  /** Floating point operations of a run. */
  readonly flops: number;
  /** What it takes on the device. */
  readonly bytes: PlanBytes;
}

/** Bytes on a device of the storage class that a plan is for. */
export interface PlanBytes {
  /** Parameters, if they are f32. */
  readonly parameters: number;
  /** Inputs, constants, uniforms and the staging buffer. */
  readonly given: number;
  /** The staging buffer alone, which `given` includes. */
  readonly stagingBuffer: number;
  /** Pool slots. */
  readonly pool: number;
  /** The largest single tensor. */
  readonly largest: number;
}

/** Bytes of the uniforms of a dispatch, or a multiple: WebGPU's alignment. */
export const UNIFORM_BYTES = 256;

/** Bytes of new values that wait for their copies at least: each time, the pass that computes ends. */
const MIN_COPY_BYTES = 2 ** 22;

/** Bytes of results that wait in the staging buffer, unless those of one dispatch are more. */
const MAX_STAGED_BYTES = 2 ** 22;

const ELEMENTWISE_KERNEL = `
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  st_y(t, vec4f());
}
`;
const MAX_STEPS = 40;
const MAX_LEAVES = 8;

const lowering = (value: Value) => value.node.op?.lowering.kind ?? "leaf";

/** Index of a broadcast operand for a result of shape `to`; shapes as in numpy. */
export function broadcast(from: Shape, to: Shape): { indexing: Indexing; splat: boolean } {
  const splat = (from.at(-1) ?? 1) === 1 && (to.at(-1) ?? 1) !== 1;
  if (sameShape(from, to)) return { indexing: null, splat };
  const padded = [...Array(to.length - from.length).fill(1), ...from];
  const last = to.length - 1;
  // Dimensions counted in texels; neighbours that are both kept or both broadcast are one.
  const groups: { size: number; kept: boolean }[] = [];
  to.forEach((n, d) => {
    const size = d === last ? Math.ceil(n / 4) : n;
    if (size === 1) return;
    const kept = padded[d] === n;
    const before = groups.at(-1);
    if (before && before.kept === kept) before.size *= size;
    else groups.push({ size, kept });
  });
  if (groups.every((g) => g.kept)) return { indexing: null, splat };
  const indexing: { inner: number; size: number; stride: number; outermost: boolean }[] = [];
  let inner = 1;
  let stride = 1;
  for (let g = groups.length - 1; g >= 0; g--) {
    const { size, kept } = groups[g]!;
    if (kept) {
      indexing.push({ inner, size, stride, outermost: g === 0 });
      stride *= size;
    }
    inner *= size;
  }
  return { indexing, splat };
}

/** Raised when a plan does not fit a budget of memory; the message tells the least that it takes. */
export class MemoryError extends InputError {
  override readonly name = "MemoryError";
}

/** How much memory there is. */
export interface Budget {
  /** Bytes in all. */
  readonly bytes: number;
  /** Bytes of it that are taken: parameters, and whatever else lives beside the plan. */
  readonly taken: number;
}

const watchers = new Set<(fetches: Fetches, target: Target) => void>();

/** Tells of all that is planned until it is disposed of: tuning learns from a stage's costs what its run computes. */
export function watchPlans(watch: (fetches: Fetches, target: Target) => void): Disposable {
  watchers.add(watch);
  return { [Symbol.dispose]: () => void watchers.delete(watch) };
}

/**
 * Plans the computation of fetches for a target.
 *
 * @param budget Where the plan would take more, values are computed again in place of being kept, with the same results.
 * @throws {MemoryError} If it cannot be met.
 */
export function plan(fetches: Fetches, target: Target, budget?: Budget): Plan {
  for (const watch of watchers) watch(fetches, target);
  const isFrozen = frozenIn(fetches);
  const on = { ...target, isFrozen };
  const { nodes, now } = decompose(valuesOf(fetches), on);
  const outputs = Object.values(fetches.outputs).map(now);
  const updates = (fetches.updates ?? []).map(([parameter, value]) => [parameter, now(value)] as const);
  const wanted = [...outputs, ...updates.flat()];
  const targets = new Set(wanted);
  const maxLeaves = Math.min(MAX_LEAVES, target.bindings - 4);

  const kernels = new Map<Node, Kernel>();
  for (const node of nodes) {
    if (node.op?.lowering.kind === "kernel") kernels.set(node, kernelOf(node, on));
  }

  // 1. Which values are stored: those that something reads in a way that cannot be fused.
  const stored = new Set<Value>();
  for (const node of nodes) {
    if (!node.op || kernels.has(node)) node.outputs.forEach((v) => stored.add(v));
    const kernel = kernels.get(node);
    node.inputs.forEach((input, k) => {
      if (kernel && !kernel.fusable?.includes(kernel.reads[k]!)) stored.add(input);
      // A broadcast operand would be computed again for every element that it is spread over; a window has an address.
      const kind = node.op?.lowering.kind;
      if (kind === "window" || kind === "elementwise" && !sameShape(input.shape, node.outputs[0]!.shape)) {
        stored.add(input);
      }
    });
  }
  targets.forEach((v) => stored.add(v));
  // A view of something stored is stored already.
  const alias = new Map<Value, Value>();
  const resolve = (value: Value): Value => alias.get(now(value)) ?? now(value);
  const leavesOf = new Map<Value, Set<Value>>();
  const stepsOf = new Map<Value, number>();
  const settle = (value: Value) => {
    if (lowering(value) === "view" && stored.has(value.node.inputs[0]!)) {
      alias.set(value, resolve(value.node.inputs[0]!));
      stored.add(value);
    }
    if (stored.has(value)) {
      leavesOf.set(value, new Set([resolve(value)]));
      stepsOf.set(value, 1);
    }
  };
  const expression = (value: Value) => {
    const inputs = value.node.inputs;
    const union = () => new Set(inputs.flatMap((v) => [...leavesOf.get(v)!]));
    const steps = () => 1 + inputs.reduce((n, v) => n + stepsOf.get(v)!, 0);
    // An expression over too many tensors, or too long, is cut at its largest operand.
    while (union().size > maxLeaves || steps() > MAX_STEPS) {
      const largest = inputs.filter((v) => !stored.has(v)).sort((a, b) => stepsOf.get(b)! - stepsOf.get(a)!)[0];
      if (!largest) break;
      stored.add(largest);
      settle(largest);
    }
    leavesOf.set(value, union());
    stepsOf.set(value, steps());
  };
  // What a kernel fuses into its loads must not bind more than the adapter allows: the widest operands are stored.
  const fit = (inputs: readonly Value[], kernel: Kernel) => {
    const bound = () => new Set(inputs.flatMap((v) => [...leavesOf.get(v)!])).size + kernel.writes.length;
    while (bound() > target.bindings) {
      const widest = inputs.filter((v) => !stored.has(v))
        .sort((a, b) => leavesOf.get(b)!.size - leavesOf.get(a)!.size)[0];
      if (!widest) break;
      stored.add(widest);
      settle(widest);
    }
  };
  for (const node of nodes) {
    const kernel = kernels.get(node);
    if (kernel) fit(node.inputs, kernel);
    for (const value of node.outputs) {
      if (node.op && !kernel) expression(value);
      settle(value);
    }
  }
  // Each stored expression is a dispatch; here with the stored values that it reads.
  const roots = new Map<Value, readonly Value[]>();
  for (const node of nodes) {
    const value = node.outputs[0]!;
    if (node.op && !kernels.has(node) && stored.has(value) && !alias.has(value)) {
      roots.set(value, expressionLeaves(value, stored, resolve));
    }
  }

  // 2. A kernel's result that only one expression uses is never stored: the expression becomes its epilogue.
  const users = new Map<Value, Set<unknown>>();
  const use = (value: Value, user: unknown) => {
    const set = users.get(value) ?? new Set();
    users.set(value, set.add(user));
  };
  for (const [root, leaves] of roots) leaves.forEach((leaf) => use(leaf, root));
  for (const node of kernels.keys()) {
    for (const input of node.inputs) {
      if (stored.has(input)) use(resolve(input), node);
      else expressionLeaves(input, stored, resolve).forEach((leaf) => use(leaf, node));
    }
  }
  targets.forEach((value) => use(resolve(value), "goal"));
  const place = new Map(nodes.map((node, k) => [node, k]));
  const absorbed = new Map<Value, Value>(); // root -> kernel result
  const inside = new Set<Node>();
  for (const [root, leaves] of roots) {
    const candidate = [...leaves]
      .filter((leaf) => kernels.has(leaf.node) && leaf.node.outputs.length === 1 && users.get(leaf)!.size === 1)
      .filter((leaf) => texels(leaf.shape) === texels(root.shape) && inPlace(root, leaf, stored, resolve))
      .sort((a, b) => place.get(b.node)! - place.get(a.node)!)[0];
    if (!candidate) continue;
    const kernel = kernels.get(candidate.node)!;
    if (kernel.reads.length * (kernel.fusable ? maxLeaves : 1) + leaves.length + 1 > target.bindings) continue;
    absorbed.set(root, candidate);
    inside.add(candidate.node);
  }

  // 3. Dispatches, in the order of the values they make.
  const order: { at: number; dispatch: Dispatch }[] = [];
  for (const root of roots.keys()) {
    const base = absorbed.get(root);
    order.push({
      at: place.get(root.node)!,
      dispatch: build(base ? kernels.get(base.node)! : null, base?.node ?? null, root, base),
    });
  }
  for (const [node, kernel] of kernels) {
    if (inside.has(node) || !node.outputs.some((v) => users.has(v))) continue;
    order.push({ at: place.get(node)!, dispatch: build(kernel, node, null, undefined) });
  }
  order.sort((a, b) => a.at - b.at);
  const every = order.map((o) => o.dispatch);

  function build(kernel: Kernel | null, node: Node | null, root: Value | null, base: Value | undefined): Dispatch {
    const reads: Value[] = [];
    const slot = (value: Value) => {
      const found = reads.indexOf(resolve(value));
      return found >= 0 ? found : reads.push(resolve(value)) - 1;
    };
    let flops = 0;
    const fuse = (value: Value, final: boolean): Step[] => {
      const steps: Step[] = [];
      const done = new Map<Value, number>();
      const visit = (v: Value, top: boolean): number => {
        const known = done.get(v);
        if (known !== undefined) return known;
        let at: number;
        if (base && resolve(v) === base) at = steps.push({ kind: "value" }) - 1;
        else if (stored.has(v) && !top) {
          at = steps.push({ kind: "load", slot: slot(v), indexing: null, splat: false }) - 1;
        } else if (v.node.op!.lowering.kind === "view") at = visit(v.node.inputs[0]!, false);
        else if (v.node.op!.lowering.kind === "window") {
          const window = v.node.op!.lowering.window(v.node);
          at = steps.push({ kind: "window", slot: slot(v.node.inputs[0]!), window }) - 1;
        } else {
          const low = v.node.op!.lowering as { source: string; floats?(attrs: unknown): readonly number[] };
          const args = v.node.inputs.map((input) => {
            const how = broadcast(input.shape, v.shape);
            if (how.indexing === null && !how.splat) return visit(input, false);
            if (!stored.has(input)) {
              throw new Error(`Cannot plan ${v.node.op!.name}: its broadcast operand is not stored`);
            }
            return steps.push({ kind: "load", slot: slot(input), ...how }) - 1;
          });
          flops += elements(v.shape) * (v.node.op!.flops ? v.node.op!.flops(v.node) / elements(v.shape) : 1);
          const floats = low.floats?.(v.node.attrs) ?? [];
          at = steps.push({ kind: "call", name: v.node.op!.name, source: low.source, args, floats }) - 1;
        }
        done.set(v, at);
        return at;
      };
      visit(value, final);
      return steps;
    };
    if (kernel === null) {
      const steps = fuse(root!, true);
      return {
        program: {
          kernel: {
            source: ELEMENTWISE_KERNEL,
            label: `fused ${fusedName(steps)}`,
            entry: "forward",
            reads: [],
            writes: ["y"],
            threads: texels(root!.shape),
          },
          reads: reads.length,
          loads: [],
          stores: [{ shape: root!.shape, steps }],
        },
        reads,
        writes: [root!],
        flops,
        bound: "memory",
        name: fusedName(steps),
        cached: false,
      };
    }
    const loads = node!.inputs.map((input): Load => {
      if (stored.has(input)) return { slot: slot(input) };
      return { shape: input.shape, steps: fuse(input, false) };
    });
    const writes = root ? [root] : [...node!.outputs];
    const stores = writes.map((value): Store => ({ shape: value.shape, steps: root ? fuse(root, true) : [] }));
    flops += node!.op!.flops ? node!.op!.flops(node!) : elements(node!.outputs[0]!.shape);
    if (reads.length + writes.length > target.bindings) {
      throw new InputError(
        `Cannot bind ${reads.length + writes.length} tensors for ${node!.op!.name} ${
          showShape(node!.outputs[0]!.shape)
        }` +
          ` as the adapter allows ${target.bindings} in a dispatch`,
      );
    }
    const { bound, name } = node!.op!;
    const cached = Boolean(node!.op!.cached) && reads.every(isFrozen);
    return {
      program: { kernel, reads: reads.length, loads, stores },
      reads,
      writes,
      flops,
      bound,
      name,
      cached,
    };
  }

  // 4. Storage by liveness.
  const liveness = (dispatches: readonly Dispatch[]) => {
    const [made, last] = [new Map<Value, number>(), new Map<Value, number>()];
    dispatches.forEach((d, k) => {
      for (const v of d.writes) made.set(v, k);
      for (const v of [...d.reads, ...d.writes]) last.set(v, k);
    });
    const inPlaceUpdates = target.staged ? findInPlaceUpdates(dispatches, made, last) : new Map<Value, Value>();
    const others = updates.filter(([, value]) => !inPlaceUpdates.has(resolve(value)));
    const copies = schedule(others, dispatches.length, made, last, resolve);
    // New values of parameters are done with when they are copied; outputs stay.
    for (const { value, after } of copies) last.set(resolve(value), Math.max(last.get(resolve(value)) ?? 0, after - 1));
    outputs.forEach((v) => last.set(resolve(v), dispatches.length));
    // Cached results are there before a run and after it.
    for (const v of dispatches.flatMap((d) => d.cached ? d.writes : [])) {
      made.set(v, 0), last.set(v, dispatches.length);
    }
    for (const value of inPlaceUpdates.keys()) made.delete(value);
    return { made, last, copies, inPlaceUpdates };
  };
  // Nothing else may read the new value, nor the old one once the new one is there.
  const findInPlaceUpdates = (
    dispatches: readonly Dispatch[],
    made: ReadonlyMap<Value, number>,
    last: ReadonlyMap<Value, number>,
  ) => {
    const wantedOnce = new Map<Value, boolean>();
    for (const value of [...outputs, ...updates.map(([, value]) => value)].map(resolve)) {
      wantedOnce.set(value, !wantedOnce.has(value));
    }
    const inPlaceUpdates = new Map<Value, Value>();
    for (const [parameter, { shape }, value] of updates.map(([p, v]) => [p, v, resolve(v)] as const)) {
      const at = made.get(value);
      const { name } = parameter.node.leaf as { name: string };
      if (at === undefined || dispatches[at]!.cached || !stagedBytes(value.shape, true) || target.isF16?.(name)) {
        continue;
      }
      const read = Math.max(last.get(value)!, last.get(parameter) ?? 0) > at;
      if (read || !wantedOnce.get(value) || wantedOnce.has(parameter)) continue;
      if (texels(shape) === texels(value.shape)) inPlaceUpdates.set(value, parameter);
    }
    return inPlaceUpdates;
  };
  const leaves = [...new Set(every.flatMap((d) => d.reads).concat(wanted.map(resolve)))].filter((v) => !v.node.op);
  const sizes = (counts: readonly number[]) => counts.map((count) => storageBytes(count, target.storage));
  const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const kind = (parameter: boolean) => leaves.filter((v) => (v.node.leaf!.kind === "parameter") === parameter);
  const [parameters, given] = [true, false].map((is) => sizes(kind(is).map((v) => texels(v.shape))));
  const allocate = (dispatches: readonly Dispatch[]) => {
    const lives = liveness(dispatches);
    const { slots, pool } = assignSlots(lives);
    const { inPlaceUpdates, copies } = lives;
    const memoryOf = (value: Value) => inPlaceUpdates.get(value) ?? slots.get(value) ?? value;
    const stagedOf = (value: Value) => target.staged ? stagedBytes(value.shape, inPlaceUpdates.has(value)) : 0;
    const { stagingBuffer, staging } = assignStaging(dispatches, copies, memoryOf, stagedOf);
    const bytes = {
      parameters: total(parameters!),
      given: total(given!) + UNIFORM_BYTES * dispatches.length + stagingBuffer,
      stagingBuffer,
      pool: total(sizes(pool)),
      largest: Math.max(0, ...parameters!, ...sizes(pool)),
    };
    return { dispatches, copies, inPlaceUpdates, staging, slots, pool, bytes };
  };

  let laid = allocate(every);
  if (budget) {
    const over = ({ bytes }: typeof laid) => budget.taken + bytes.given + bytes.pool - budget.bytes;
    if (over(laid) > 0 && !target.keepComposite) return plan(fetches, { ...target, keepComposite: true }, budget);
    const search = new Rematerializer(every, new Set([...targets].map(resolve)));
    while (over(laid) > 0) {
      const fewer = search.reduce();
      if (!fewer) {
        const [given, least] = [budget.bytes, budget.bytes + over(laid)].map((bytes) => formatBytes(bytes));
        throw new MemoryError(
          `Cannot run in ${given} of memory: the least found is ${least}`,
          { hint: "a smaller batch takes less" },
        );
      }
      const now = allocate(fewer);
      if (over(now) < over(laid)) laid = now;
    }
  }
  const { dispatches } = laid;
  return { ...laid, target, leaves, resolve, fetches, flops: dispatches.reduce((sum, d) => sum + d.flops, 0) };
}

/** All that is to be computed, and the parameters that are to change. */
export function valuesOf({ outputs, updates = [] }: Fetches): readonly Value[] {
  return [...Object.values(outputs), ...updates.flat()];
}

/** Tells of a value whether it stays as it is from run to run, as weights do that are not trained. */
export function frozenIn({ updates = [] }: Fetches): (value: Value) => boolean {
  const trained = new Set(updates.map(([parameter]) => parameter));
  return (value) => {
    const { leaf } = value.node;
    return leaf !== null && leaf.kind !== "input" && !trained.has(value);
  };
}

/** Slots for values, and their texels: those whose lives do not overlap share one. */
function assignSlots(
  { made, last }: { made: ReadonlyMap<Value, number>; last: ReadonlyMap<Value, number> },
): { slots: Map<Value, number>; pool: number[] } {
  const slots = new Map<Value, number>();
  const pool: number[] = [];
  const taken: (readonly [number, number])[][] = [];
  // Largest first, so that a slot is as large as its first value, and later ones are the last that fit.
  for (const [value, from] of [...made].sort(([a], [b]) => texels(b.shape) - texels(a.shape))) {
    const to = last.get(value)!;
    let slot = taken.findLastIndex((spans) => spans.every(([first, end]) => to < first || end < from));
    if (slot < 0) slot = taken.push([]) - 1;
    if (slot === pool.length) pool.push(texels(value.shape));
    taken[slot]!.push([from, to]);
    slots.set(value, slot);
  }
  return { slots, pool };
}

/**
 * When to carry out updates: as soon as the new value is there and the old one is no longer read, so that the memory of
 * the new value is free for the next; several together, as the pass has to end for them.
 *
 * @param end How many dispatches there are.
 * @param made The dispatch that writes a stored value.
 * @param last The last that reads or writes it.
 */
function schedule(
  updates: readonly (readonly [Value, Value])[],
  end: number,
  made: ReadonlyMap<Value, number>,
  last: ReadonlyMap<Value, number>,
  resolve: (value: Value) => Value,
): Copy[] {
  // What becomes the value of a leaf does so at the end, before that leaf changes.
  const leaf = ([, value]: readonly [Value, Value]) => !made.has(resolve(value));
  const kept = new Set(updates.filter(leaf).map(([, value]) => resolve(value)));
  const ready: (readonly [Value, Value])[][] = Array.from({ length: end + 1 }, () => []);
  for (const [parameter, value] of [...updates].sort((a, b) => Number(leaf(b)) - Number(leaf(a)))) {
    const at = made.get(resolve(value));
    const after = at === undefined || kept.has(parameter) ? end : 1 + Math.max(at, last.get(parameter) ?? 0);
    ready[after]!.push([parameter, value]);
  }
  const size = ([parameter]: readonly [Value, Value]) => 16 * texels(parameter.shape);
  const least = Math.max(MIN_COPY_BYTES, updates.reduce((sum, update) => sum + size(update), 0) / 64);
  const copies: Copy[] = [];
  let waiting: (readonly [Value, Value])[] = [];
  let bytes = 0;
  for (let after = 0; after <= end; after++) {
    for (const update of ready[after]!) {
      waiting.push(update);
      bytes += size(update);
    }
    if (bytes < least && after < end) continue;
    for (const [parameter, value] of waiting) copies.push({ parameter, value, after });
    [waiting, bytes] = [[], 0];
  }
  return copies;
}

/**
 * Where results wait for their copies: one after the other in the staging buffer, so that several are copied between two passes.
 *
 * @param copies Updates, before which what waits is copied too.
 * @param memoryOf Tells values apart by where they are stored.
 * @param stagedOf Bytes of a result in the staging buffer, or 0.
 * @returns Bytes of the staging buffer too.
 */
function assignStaging(
  dispatches: readonly Dispatch[],
  copies: readonly Copy[],
  memoryOf: (value: Value) => unknown,
  stagedOf: (value: Value) => number,
): { stagingBuffer: number; staging: Staging[] } {
  const sizes = dispatches.map(({ writes }) => writes.map(stagedOf));
  const needed = sizes.map((of) => of.reduce((a, b) => a + b, 0));
  const updates = new Set(copies.map(({ after }) => after));
  const there = new Set<unknown>();
  let [end, stagingBuffer] = [0, 0];
  const staging = dispatches.map(({ reads, writes }, k) => {
    const touched = [...reads, ...writes].some((value) => there.has(memoryOf(value)));
    const flushBefore = touched || updates.has(k) || end > 0 && end + needed[k]! > MAX_STAGED_BYTES;
    if (flushBefore) {
      there.clear();
      end = 0;
    }
    const slices = writes.map((value, w) => {
      const size = sizes[k]![w]!;
      if (!size) return null;
      there.add(memoryOf(value));
      end += size;
      return { offset: end - size, size };
    });
    stagingBuffer = Math.max(stagingBuffer, end);
    return { flushBefore, slices };
  });
  return { stagingBuffer, staging };
}

/** Stored values that the expression behind `value` reads, `value` itself not counted. */
function expressionLeaves(value: Value, stored: ReadonlySet<Value>, resolve: (v: Value) => Value): Value[] {
  const found = new Set<Value>();
  const visit = (v: Value) => v.node.inputs.forEach((i) => stored.has(i) ? found.add(resolve(i)) : visit(i));
  visit(value);
  return [...found];
}

/** Whether the expression of `root` reads `leaf` only at its own texel, never broadcast. */
function inPlace(root: Value, leaf: Value, stored: ReadonlySet<Value>, resolve: (v: Value) => Value): boolean {
  const visit = (v: Value): boolean =>
    v.node.inputs.every((input) => {
      const { kind } = v.node.op!.lowering;
      const own = kind === "view" || kind === "elementwise" && sameShape(input.shape, v.shape);
      if (stored.has(input)) return own || resolve(input) !== leaf;
      return own && visit(input);
    });
  return visit(root);
}

function fusedName(steps: readonly Step[]): string {
  return steps.flatMap((s) => s.kind === "call" ? [s.name] : []).join("+") || "copy";
}
