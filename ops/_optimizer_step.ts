/**
 * Makes the ops of optimizers: a step on any number of tensors, which on hardware takes many in a dispatch.
 *
 * @module
 */

import {
  type Attrs,
  elements,
  type F64,
  type Kernel,
  type Op,
  sameShape,
  showShape,
  texels,
  type Value,
} from "../engine/graph.ts";
import { itemAt } from "../engine/lookup.ts";

/** Numbers by name. */
type Numbers<Name extends string> = Readonly<Record<Name, number>>;

/** Properties in which optimizers differ. */
export interface StepSpec<A extends Attrs, Hyper extends string, State extends string> {
  readonly name: string;
  /** Kernel for tensors `n`, which calls `hyper()`, loads `p$n`, `g$n` and the state, and stores `p_new$n` and the new state. */
  readonly source: string;
  /** The numbers of one step, in the order of the first input. */
  readonly hyper: readonly Hyper[];
  /** State that is kept of each tensor from step to step. */
  state(attrs: A): readonly State[];
  /** Constants of the kernel. */
  constants(attrs: A): Readonly<Record<string, number>>;
  /** Operations an element. */
  flops(attrs: A): number;
  /** A step on one element in f64. */
  reference(hyper: Numbers<Hyper>, x: Numbers<"p" | "g" | State>, attrs: A): Numbers<"p" | State>;
}

/** Tensors of a dispatch where the adapter binds as many; more would take long to compile. */
const TOGETHER = 32;
/** Bindings that a dispatch's tensors share: the hyper-parameters, and the factor of clipping in the loads of gradients. */
const SHARED = 2;
/** Invocations in a workgroup, which belong to one tensor. */
const WORKGROUP = 64;

/** WGSL of `hyper() -> Hyper`, which loads all numbers of a step. */
function hyperSource(names: readonly string[]): string {
  const fields = names.map((name) => `${name}: f32`).join(", ");
  const loads = Array.from({ length: Math.ceil(names.length / 4) }, (_, t) => `let t${t} = ld_hyper(${t});`).join(" ");
  const values = names.map((_, k) => `t${Math.floor(k / 4)}[${k % 4}]`).join(", ");
  return `struct Hyper { ${fields} }\nfn hyper() -> Hyper { ${loads} return Hyper(${values}); }`;
}

/** Splits a list into parts of a size. */
function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, k) => list.slice(k * size, (k + 1) * size));
}

/** The invocations of each tensor, from whole workgroups on. */
function spansOf(parameters: readonly Value[]): { readonly first: number; readonly end: number }[] {
  let next = 0;
  return parameters.map(({ shape }) => {
    const first = next;
    const end = first + texels(shape);
    next = Math.ceil(end / WORKGROUP) * WORKGROUP;
    return { first, end };
  });
}

/** Names of the tensors that a step reads and writes of each parameter. */
function namesOf<A extends Attrs, Hyper extends string, State extends string>(
  spec: StepSpec<A, Hyper, State>,
  attrs: A,
): { readonly read: readonly ("p" | "g" | State)[]; readonly written: readonly ("p" | State)[] } {
  const state = spec.state(attrs);
  return { read: ["p", "g", ...state], written: ["p", ...state] };
}

function stepKernel<A extends Attrs, Hyper extends string, State extends string>(
  spec: StepSpec<A, Hyper, State>,
  tensors: readonly (readonly Value[])[],
  attrs: A,
): Kernel {
  const { read, written } = namesOf(spec, attrs);
  const spans = spansOf(tensors.map((tensor) => itemAt(tensor, 0, "inputs")));
  const each = <T>(list: (n: number) => readonly T[]) => tensors.flatMap((_, n) => list(n));
  return {
    source: `${spec.source}\n${hyperSource(spec.hyper)}`,
    label: `shaders/${spec.name}.wgsl`,
    entry: "forward",
    reads: ["hyper", ...each((n) => read.map((name) => `${name}${n}`))],
    writes: each((n) => written.map((name) => `${name}_new${n}`)),
    fusable: each((n) => [`g${n}`]),
    inPlace: Object.fromEntries(each((n) => written.map((name) => [`${name}_new${n}`, `${name}${n}`]))),
    constants: { ...spec.constants(attrs), N: tensors.length },
    ints: Object.fromEntries(spans.flatMap(({ first, end }, n) => [[`first${n}`, first], [`end${n}`, end]])),
    threads: itemAt(spans, spans.length - 1, "tensors").end,
    workgroup: WORKGROUP,
  };
}

function stepReference<A extends Attrs, Hyper extends string, State extends string>(
  spec: StepSpec<A, Hyper, State>,
  { data: numbers }: F64,
  tensors: readonly (readonly F64[])[],
  attrs: A,
): F64[] {
  const { read, written } = namesOf(spec, attrs);
  const byName = <Name extends string>(names: readonly Name[], at: (k: number) => number | undefined) =>
    Object.fromEntries(names.map((name, k) => [name, at(k)])) as Numbers<Name>;
  const hyper = byName(spec.hyper, (k) => numbers[k]);
  return tensors.flatMap((tensor): F64[] => {
    const { shape, data: { length } } = itemAt(tensor, 0, "inputs");
    const next = Array.from(
      { length },
      (_, i) => spec.reference(hyper, byName(read, (k) => tensor[k]?.data[i]), attrs),
    );
    return written.map((name) => ({ shape, data: Float64Array.from(next, (values) => values[name]) }));
  });
}

/**
 * An optimizer's step on any number of tensors: hyper-parameters, then parameter, gradient and state of each, give the new
 * parameter and state of each.
 */
export function optimizerStep<A extends Attrs, Hyper extends string, State extends string>(
  spec: StepSpec<A, Hyper, State>,
): Op<A, number, number> {
  const { name, hyper: { length: numbers } } = spec;
  const tensorsOf = <T>([, ...inputs]: readonly T[], attrs: A) => chunks(inputs, namesOf(spec, attrs).read.length);
  const op: Op<A, number, number> = {
    name,
    bound: "memory",
    shapes: (inputs, attrs) => {
      const { read, written } = namesOf(spec, attrs);
      const tensors = tensorsOf(inputs, attrs);
      const [hyper = []] = inputs;
      const wrong = tensors.find((shapes) =>
        shapes.length !== read.length || !shapes.every((shape) => sameShape(shape, shapes[0] ?? []))
      );
      if (elements(hyper) !== numbers || wrong) {
        throw new TypeError(
          `Cannot apply ${name} to ${[hyper, ...wrong ?? tensors.flat()].map(showShape).join(", ")}: ` +
            `the first must be [${numbers}], and those of a tensor equal`,
        );
      }
      return tensors.flatMap((shapes) => written.map(() => itemAt(shapes, 0, "shapes")));
    },
    lowering: { kind: "kernel", kernel: ({ inputs, attrs }) => stepKernel(spec, tensorsOf(inputs, attrs), attrs) },
    decompose({ inputs, attrs }, _, { tiled, bindings }) {
      const tensors = tensorsOf(inputs, attrs), { read, written } = namesOf(spec, attrs);
      // On hardware as many as a dispatch binds, as the host takes as long to encode a small dispatch as a large one.
      const bound = Math.floor((bindings - SHARED) / (read.length + written.length));
      const most = tiled ? Math.max(1, Math.min(TOGETHER, bound)) : 1;
      if (tensors.length <= most) return null;
      const hyper = itemAt(inputs, 0, "inputs");
      return chunks(tensors, most).flatMap((some) => hyper.graph.apply(op, [hyper, ...some.flat()], attrs));
    },
    flops: ({ inputs, attrs }) =>
      tensorsOf(inputs, attrs).reduce((sum, [p]) => sum + spec.flops(attrs) * elements(p?.shape ?? [0]), 0),
    reference: (inputs, attrs) => stepReference(spec, itemAt(inputs, 0, "inputs"), tensorsOf(inputs, attrs), attrs),
  };
  return op;
}

/**
 * Applies the op of an optimizer.
 *
 * @param tensors Parameter, gradient and state of each tensor.
 * @param state Number of its state's tensors.
 * @returns New parameter and state of each.
 */
export function applyStep<A extends Attrs>(
  op: Op<A, number, number>,
  hyper: Value,
  tensors: readonly (readonly Value[])[],
  attrs: A,
): Value[][] {
  const next = hyper.graph.apply(op, [hyper, ...tensors.flat()], attrs);
  return chunks(next, next.length / tensors.length);
}
