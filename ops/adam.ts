import { elements, type F64, type Op, sameShape, showShape, type Target, texels, type Value } from "../engine/graph.ts";
import { itemAt } from "../engine/lookup.ts";
import source from "../shaders/adam.wgsl" with { type: "text" };
import { reader } from "./_reference.ts";

/** Attributes of {@linkcode adamOp}: a moving average of the parameter too; weight decay as an L2 term of the gradient. */
export type AdamAttrs = { readonly ema: boolean; readonly l2: boolean };

/**
 * The numbers of one step, in the order of the `hyper` input: here, in the shader and in `adamHyper` of optimizer.ts
 * they go by these names only.
 */
export const HYPER = [
  "lr",
  "beta1",
  "beta2",
  "eps",
  "weight_decay",
  /** Corrections of the bias of the moments, `1 / (1 - beta^(step + 1))`. */
  "m_correction",
  "v_correction",
  "grad_scale",
  /** One minus the decay of each average: taken in f64, as in f32 1 - 0.999 is wrong by one part in 80,000. */
  "m_rate",
  "v_rate",
  "ema_rate",
] as const;

/** The numbers of one step by name. */
export type Hyper = Readonly<Record<typeof HYPER[number], number>>;

/** Reads the numbers of a step by name, as the shader's `hyper()` does. */
function hyperOf({ data }: F64): Hyper {
  return Object.fromEntries(HYPER.map((name, k) => [name, data[k]])) as Hyper;
}

/** WGSL of `hyper() -> Hyper`, which loads all numbers of a step. */
function hyperSource(): string {
  const fields = HYPER.map((name) => `${name}: f32`).join(", ");
  const loads = Array.from({ length: Math.ceil(HYPER.length / 4) }, (_, t) => `let t${t} = ld_hyper(${t});`).join(" ");
  const values = HYPER.map((_, k) => `t${Math.floor(k / 4)}[${k % 4}]`).join(", ");
  return `struct Hyper { ${fields} }\nfn hyper() -> Hyper { ${loads} return Hyper(${values}); }`;
}

/** Inputs of a tensor, behind those that all share. */
const STATE = ["p", "g", "m", "v", "ema"] as const;
/** Outputs of a tensor. */
const NEXT = ["p", "m", "v", "ema"] as const;

/** The names of a tensor's inputs or outputs: the average comes last, where one is kept. */
const kept = <Name extends string>(names: readonly Name[], ema: boolean) => ema ? names : names.slice(0, -1);

/** Tensors of a dispatch where the adapter binds as many; more would take long to compile. */
const TOGETHER = 32;
/** Bindings that a dispatch's tensors share: the hyper-parameters, and the factor of clipping in the loads of gradients. */
const SHARED = 2;
/** Invocations in a workgroup, which belong to one tensor. */
const WORKGROUP = 64;

/** A tensor's inputs by name; the average is there where one is kept. */
interface Tensors<T> {
  readonly p: T;
  readonly g: T;
  readonly m: T;
  readonly v: T;
  readonly ema?: T | undefined;
}

/** The inputs of each tensor, which follow the hyper-parameters. */
function tensorsOf<T>(inputs: readonly T[], ema: boolean): Tensors<T>[] {
  const size = kept(STATE, ema).length;
  return Array.from({ length: (inputs.length - 1) / size }, (_, n) => {
    const [p, g, m, v, average] = inputs.slice(1 + n * size, 1 + (n + 1) * size) as unknown as [T, T, T, T, T?];
    return { p, g, m, v, ema: average };
  });
}

/** The hyper-parameters and the tensors as inputs. */
function inputsOf<T>(hyper: T, tensors: readonly Tensors<T>[]): T[] {
  return [hyper, ...tensors.flatMap(({ p, g, m, v, ema }) => [p, g, m, v, ...(ema === undefined ? [] : [ema])])];
}

/** Tensors in a dispatch: on hardware as many as it binds, as the host takes as long to encode a small one as a large one. */
function together(ema: boolean, { tiled, bindings }: Target): number {
  const each = kept(STATE, ema).length + kept(NEXT, ema).length;
  return tiled ? Math.max(1, Math.min(TOGETHER, Math.floor((bindings - SHARED) / each))) : 1;
}

/** The invocations of each tensor, from whole workgroups on. */
function spansOf(tensors: readonly Tensors<Value>[]): { readonly first: number; readonly end: number }[] {
  let next = 0;
  return tensors.map(({ p }) => {
    const first = next;
    const end = first + texels(p.shape);
    next = Math.ceil(end / WORKGROUP) * WORKGROUP;
    return { first, end };
  });
}

/**
 * One step of Adam or AdamW on any number of tensors: hyper-parameters, then parameter, gradient, first and second moment
 * (and moving average) of each give the new parameter, moments (and average) of each.
 */
export const adamOp: Op<AdamAttrs, number, number> = {
  name: "adam",
  bound: "memory",
  shapes: (inputs, { ema }) => {
    const tensors = tensorsOf(inputs, ema);
    const [hyper] = inputs;
    const wrong = tensors.find(({ p, g, m, v, ema }) => ![g, m, v, ema ?? p].every((shape) => sameShape(shape, p)));
    if (!hyper || elements(hyper) !== HYPER.length || wrong) {
      const given = inputsOf(hyper ?? [], wrong ? [wrong] : tensors);
      throw new TypeError(
        `Cannot apply adam to ${given.map(showShape).join(", ")}: the first must be [${HYPER.length}], ` +
          "and those of a tensor equal",
      );
    }
    return tensors.flatMap(({ p }) => kept(NEXT, ema).map(() => p));
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs, attrs: { ema, l2 } }) => {
      const tensors = tensorsOf(inputs, ema);
      const spans = spansOf(tensors);
      const each = <T>(names: (n: number) => readonly T[]) => tensors.flatMap((_, n) => names(n));
      return {
        source: `${source}\n${hyperSource()}`,
        label: "shaders/adam.wgsl",
        entry: "forward",
        reads: ["hyper", ...each((n) => kept(STATE, ema).map((name) => `${name}${n}`))],
        writes: each((n) => kept(NEXT, ema).map((name) => `${name}_new${n}`)),
        fusable: each((n) => [`g${n}`]),
        inPlace: Object.fromEntries(each((n) => kept(NEXT, ema).map((name) => [`${name}_new${n}`, `${name}${n}`]))),
        constants: { E: Number(ema), L2: Number(l2), N: tensors.length },
        ints: Object.fromEntries(spans.flatMap(({ first, end }, n) => [[`first${n}`, first], [`end${n}`, end]])),
        threads: itemAt(spans, spans.length - 1, "tensors").end,
        workgroup: WORKGROUP,
      };
    },
  },
  decompose({ inputs, attrs }, _, target) {
    const tensors = tensorsOf(inputs, attrs.ema);
    const most = together(attrs.ema, target);
    if (tensors.length <= most) return null;
    const hyper = itemAt(inputs, 0, "inputs");
    return Array.from(
      { length: Math.ceil(tensors.length / most) },
      (_, k) => hyper.graph.apply(adamOp, inputsOf(hyper, tensors.slice(k * most, (k + 1) * most)), attrs),
    ).flat();
  },
  flops: ({ inputs, attrs: { ema } }) =>
    tensorsOf(inputs, ema).reduce((sum, { p }) => sum + (ema ? 16 : 13) * elements(p.shape), 0),
  reference(inputs, { ema: averaged, l2 }) {
    const h = hyperOf(itemAt(inputs, 0, "inputs"));
    const flat = (x: F64) => reader(x, [x.data.length]);
    return tensorsOf(inputs, averaged).flatMap(({ p, g, m, v, ema }) => {
      const [P, G, M, V, E] = [flat(p), flat(g), flat(m), flat(v), flat(ema ?? p)];
      const grad = (k: number) => h.grad_scale * G(k) + (l2 ? h.weight_decay * P(k) : 0);
      const first = (k: number) => h.beta1 * M(k) + h.m_rate * grad(k);
      const second = (k: number) => h.beta2 * V(k) + h.v_rate * grad(k) ** 2;
      const next = (k: number) =>
        P(k) * (l2 ? 1 : 1 - h.lr * h.weight_decay) -
        h.lr * h.m_correction * first(k) / (Math.sqrt(h.v_correction * second(k)) + h.eps);
      const blended = (k: number) => E(k) + h.ema_rate * (next(k) - E(k));
      return [next, first, second, ...(ema ? [blended] : [])].map((f) => ({ ...p, data: p.data.map((_, k) => f(k)) }));
    });
  },
};

/**
 * One step of Adam on some tensors; `adamUpdates` of optimizer.ts does it for a whole model.
 *
 * @param hyper The numbers of {@linkcode HYPER}, from `adamHyper`.
 * @param tensors Parameter, gradient and moments of each, and for all or for none of them the moving average `ema`.
 * @param l2 True for weight decay as an L2 term of the gradient.
 * @returns By tensor: new `p`, `m`, `v` and, with `ema`, its new value.
 */
export function adam(
  hyper: Value,
  tensors: readonly Tensors<Value>[],
  l2 = false,
): { readonly p: Value; readonly m: Value; readonly v: Value; readonly ema?: Value | undefined }[] {
  const ema = tensors.some((tensor) => tensor.ema !== undefined);
  const next = hyper.graph.apply(adamOp, inputsOf(hyper, tensors), { ema, l2 });
  const size = kept(NEXT, ema).length;
  return tensors.map((_, n) => {
    const [p, m, v, average] = next.slice(n * size, (n + 1) * size) as unknown as [Value, Value, Value, Value?];
    return { p, m, v, ema: average };
  });
}
