import type { Op, Value } from "../engine/graph.ts";
import source from "../shaders/adam.wgsl" with { type: "text" };
import { applyStep, optimizerStep } from "./_optimizer_step.ts";

/** Attributes of {@linkcode adamOp}: a moving average of the parameter too; weight decay as an L2 term of the gradient. */
export type AdamAttrs = { readonly ema: boolean; readonly l2: boolean };

/**
 * The numbers of one step, in the order of the `hyper` input: here and in the shader they go by these names only.
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
type Hyper = Readonly<Record<typeof HYPER[number], number>>;

/** A tensor's inputs by name; the average is there where one is kept. */
interface Tensors {
  readonly p: Value;
  readonly g: Value;
  readonly m: Value;
  readonly v: Value;
  readonly ema?: Value | undefined;
}

/**
 * One step of Adam or AdamW on any number of tensors: hyper-parameters, then parameter, gradient, first and second moment
 * (and moving average) of each give the new parameter, moments (and average) of each.
 */
export const adamOp: Op<AdamAttrs, number, number> = optimizerStep({
  name: "adam",
  source,
  hyper: HYPER,
  state: ({ ema }) => ema ? ["m", "v", "ema"] as const : ["m", "v"] as const,
  constants: ({ ema, l2 }) => ({ E: Number(ema), L2: Number(l2) }),
  flops: ({ ema }) => ema ? 16 : 13,
  reference(h, { p, g, m, v, ema }, { l2 }) {
    const grad = h.grad_scale * g + (l2 ? h.weight_decay * p : 0);
    const first = h.beta1 * m + h.m_rate * grad;
    const second = h.beta2 * v + h.v_rate * grad ** 2;
    const next = p * (l2 ? 1 : 1 - h.lr * h.weight_decay) -
      h.lr * h.m_correction * first / (Math.sqrt(h.v_correction * second) + h.eps);
    return { p: next, m: first, v: second, ema: ema + h.ema_rate * (next - ema) };
  },
});

/**
 * One step of Adam on some tensors; `adamUpdates` of optimizer.ts does it for a whole model.
 *
 * @param hyper The numbers of {@linkcode HYPER}, from {@linkcode adamHyper}.
 * @param tensors Parameter, gradient and moments of each, and for all or for none of them the moving average `ema`.
 * @param l2 True for weight decay as an L2 term of the gradient.
 * @returns By tensor: new `p`, `m`, `v` and, with `ema`, its new value.
 */
export function adam(
  hyper: Value,
  tensors: readonly Tensors[],
  l2 = false,
): { readonly p: Value; readonly m: Value; readonly v: Value; readonly ema?: Value | undefined }[] {
  const ema = tensors.some((tensor) => tensor.ema !== undefined);
  const inputs = tensors.map(({ p, g, m, v, ema }) => [p, g, m, v, ...(ema === undefined ? [] : [ema])]);
  return applyStep(adamOp, hyper, inputs, { ema, l2 }).map((next) => {
    const [p, m, v, average] = next as [Value, Value, Value, Value?];
    return { p, m, v, ema: average };
  });
}

/** Hyper-parameters of one step of Adam as users have them. */
export interface AdamHyper {
  /** Step size. */
  readonly lr: number;
  /** Decay of the first moment, default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the second moment, default 1e-8. */
  readonly eps?: number;
  /** Weight decay, default 0. */
  readonly weight_decay?: number;
  /** Factor of the gradients, default 1. */
  readonly grad_scale?: number;
  /** Decay of the moving average of the weights, default 0.999. */
  readonly ema_decay?: number;
}

/**
 * The numbers of a step, in the order of {@linkcode HYPER}.
 *
 * @param step Counts from 0: the number of steps made before.
 */
export function adamHyper(step: number, hyper: AdamHyper): Float32Array {
  const { lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, grad_scale = 1, ema_decay = 0.999 } = hyper;
  return numbersOf({
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    m_correction: 1 / (1 - beta1 ** (step + 1)),
    v_correction: 1 / (1 - beta2 ** (step + 1)),
    grad_scale,
    m_rate: 1 - beta1,
    v_rate: 1 - beta2,
    ema_rate: 1 - ema_decay,
  });
}

/** The numbers of a step that changes nothing, if its gradients are zeros. */
export const NO_STEP: Float32Array = numbersOf({
  lr: 0,
  beta1: 1,
  beta2: 1,
  eps: 1,
  weight_decay: 0,
  m_correction: 1,
  v_correction: 1,
  grad_scale: 1,
  m_rate: 0,
  v_rate: 0,
  ema_rate: 0,
});

/** Hyper-parameters in the order of the op's input. */
function numbersOf(hyper: Hyper): Float32Array {
  return Float32Array.from(HYPER, (name) => hyper[name]);
}
