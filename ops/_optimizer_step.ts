/**
 * Makes the ops of optimizers: a step on any number of tensors, which on hardware takes many in a dispatch.
 *
 * @module
 */

import {
  type Attrs,
  elements,
  type F64,
  type Op,
  sameShape,
  showShape,
  type Target,
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

/**
 * An optimizer's step on any number of tensors: hyper-parameters, then parameter, gradient and state of each, give the new
 * parameter and state of each.
 */
export function optimizerStep<A extends Attrs, Hyper extends string, State extends string>(
  spec: StepSpec<A, Hyper, State>,
): Op<A, number, number> {
  const { name, source, hyper: names } = spec;
  const written = (attrs: A) => ["p", ...spec.state(attrs)] as const;
  const read = (attrs: A) => ["p", "g", ...spec.state(attrs)] as const;
  const tensorsOf = <T>([, ...inputs]: readonly T[], attrs: A) => chunks(inputs, read(attrs).length);
  /** Tensors in a dispatch: on hardware as many as it binds, as the host takes as long to encode a small one as a large one. */
  const together = (attrs: A, { tiled, bindings }: Target) => {
    const each = read(attrs).length + written(attrs).length;
    return tiled ? Math.max(1, Math.min(TOGETHER, Math.floor((bindings - SHARED) / each))) : 1;
  };
  const op: Op<A, number, number> = {
    name,
    bound: "memory",
    shapes: (inputs, attrs) => {
      const tensors = tensorsOf(inputs, attrs);
      const [hyper = []] = inputs;
      const size = read(attrs).length;
      const wrong = tensors.find((shapes) =>
        shapes.length !== size || !shapes.every((shape) => sameShape(shape, shapes[0] ?? []))
      );
      if (elements(hyper) !== names.length || wrong) {
        throw new TypeError(
          `Cannot apply ${name} to ${[hyper, ...wrong ?? tensors.flat()].map(showShape).join(", ")}: ` +
            `the first must be [${names.length}], and those of a tensor equal`,
        );
      }
      return tensors.flatMap((shapes) => written(attrs).map(() => itemAt(shapes, 0, "shapes")));
    },
    lowering: {
      kind: "kernel",
      kernel: ({ inputs, attrs }) => {
        const tensors = tensorsOf(inputs, attrs);
        const spans = spansOf(tensors.map((tensor) => itemAt(tensor, 0, "inputs")));
        const each = <T>(list: (n: number) => readonly T[]) => tensors.flatMap((_, n) => list(n));
        return {
          source: `${source}\n${hyperSource(names)}`,
          label: `shaders/${name}.wgsl`,
          entry: "forward",
          reads: ["hyper", ...each((n) => read(attrs).map((one) => `${one}${n}`))],
          writes: each((n) => written(attrs).map((one) => `${one}_new${n}`)),
          fusable: each((n) => [`g${n}`]),
          inPlace: Object.fromEntries(each((n) => written(attrs).map((one) => [`${one}_new${n}`, `${one}${n}`]))),
          constants: { ...spec.constants(attrs), N: tensors.length },
          ints: Object.fromEntries(spans.flatMap(({ first, end }, n) => [[`first${n}`, first], [`end${n}`, end]])),
          threads: itemAt(spans, spans.length - 1, "tensors").end,
          workgroup: WORKGROUP,
        };
      },
    },
    decompose({ inputs, attrs }, _, target) {
      const tensors = tensorsOf(inputs, attrs);
      const most = together(attrs, target);
      if (tensors.length <= most) return null;
      const hyper = itemAt(inputs, 0, "inputs");
      return chunks(tensors, most).flatMap((some) => hyper.graph.apply(op, [hyper, ...some.flat()], attrs));
    },
    flops: ({ inputs, attrs }) =>
      tensorsOf(inputs, attrs).reduce((sum, [p]) => sum + spec.flops(attrs) * elements(p?.shape ?? [0]), 0),
    reference(inputs, attrs) {
      const { data } = itemAt(inputs, 0, "inputs");
      const byName = <Name extends string>(names: readonly Name[], at: (k: number) => number | undefined) =>
        Object.fromEntries(names.map((name, k) => [name, at(k)])) as Numbers<Name>;
      const hyper = byName(names, (k) => data[k]);
      return tensorsOf(inputs, attrs).flatMap((tensor): F64[] => {
        const { shape, data: { length } } = itemAt(tensor, 0, "inputs");
        const next = Array.from(
          { length },
          (_, i) => spec.reference(hyper, byName(read(attrs), (k) => tensor[k]?.data[i]), attrs),
        );
        return written(attrs).map((name) => ({ shape, data: Float64Array.from(next, (values) => values[name]) }));
      });
    },
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
