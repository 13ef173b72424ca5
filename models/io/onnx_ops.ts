/**
 * Translations of ops to ONNX: each op of inference as one or a few ONNX nodes.
 *
 * Easy to get wrong:
 * - images are channels-last here and channels-first in ONNX: convolutions and poolings stand between two transposes,
 *   which runtimes cancel against each other;
 * - partial sums, which a GPU wants, have no meaning of their own: `moments` is written from its last input alone.
 *
 * Source: onnx/onnx, docs/Operators.md, operator set 17.
 *
 * @module
 */

import type { OpName, Ops } from "../../ops/registry.ts";
import type { ReshapeAttrs } from "../../ops/reshape.ts";
import type { SliceAttrs } from "../../ops/slice.ts";
import { type Attrs, dims, extent, type Node, type Op, showShape, type Tuple, type Value } from "../../engine/graph.ts";

/** ONNX's number of the type f32. */
export const FLOAT = 1;

/** Values of an attribute of an ONNX node. */
export type OnnxAttribute = number | readonly number[];

/** A graph under construction, as translations write to it; tensors are known by name. */
export interface OnnxWriter {
  /** An initializer of f32; returns its name. */
  floats(data: ArrayLike<number>, shape: readonly number[]): string;
  /** A list of integers, made once; returns its name. */
  ints(values: readonly number[]): string;
  /** A node with one output; returns the output's name. */
  emit(type: string, inputs: readonly string[], attributes?: Readonly<Record<string, OnnxAttribute>>): string;
  /** Parts of a tensor along an axis; returns their names. */
  split(x: string, axis: number, sizes: readonly number[]): string[];
  /** Indices of the `count` greatest values of a list, from the greatest on; returns their name. */
  order(x: string, count: string): string;
}

/** Writes a node whose inputs have these names; returns the names of its outputs. */
export type Translation<A = Attrs, I extends number = number, O extends number = number> = (
  w: OnnxWriter,
  inputs: Tuple<string, I>,
  node: Node<A, I, O>,
) => readonly string[];

/** Translation of an op of a type. */
type TranslationOf<T> = T extends Op<infer A, infer I, infer O> ? Translation<A, I, O> : never;

/** Translation of an op that ONNX has under another name. */
const same = (type: string) => (w: OnnxWriter, inputs: readonly string[]) => [w.emit(type, inputs)];

/** Applies a function to `[N, H, W, C]` as `[N, C, H, W]`. */
function channelsFirst(w: OnnxWriter, x: string, act: (x: string) => string): string {
  return w.emit("Transpose", [act(w.emit("Transpose", [x], { perm: [0, 3, 1, 2] }))], { perm: [0, 2, 3, 1] });
}

const scalar = (w: OnnxWriter, value: number) => w.floats([value], []);

/** Mean and biased variance over some axes, which stay with size 1. */
function meanAndVariance(w: OnnxWriter, x: string, axes: readonly number[]): [mean: string, variance: string] {
  const mean = w.emit("ReduceMean", [x], { axes, keepdims: 1 });
  const difference = w.emit("Sub", [x, mean]);
  return [mean, w.emit("ReduceMean", [w.emit("Mul", [difference, difference])], { axes, keepdims: 1 })];
}

/** An operand of a product as `[N, H, rows, columns]`, or `[N, rows, columns]` with one head. */
function splitHeads(w: OnnxWriter, x: string, { shape }: Value, heads: number, merged: boolean): string {
  if (merged === (heads === 1)) return x;
  if (!merged) return w.emit("Reshape", [x, w.ints([extent(shape, 0), ...shape.slice(2)])]);
  const { N, rows, wide } = dims(shape, "N rows wide");
  return w.emit("Transpose", [w.emit("Reshape", [x, w.ints([N, rows, heads, wide / heads])])], { perm: [0, 2, 1, 3] });
}

/** Gives a tensor the shape of a value. */
const reshapeTo = (w: OnnxWriter, x: string, { shape }: Value) => w.emit("Reshape", [x, w.ints(shape)]);

const toShape: Translation<ReshapeAttrs, 1, 1> = (w, [x], { outputs: [y] }) => [reshapeTo(w, x, y)];

const window: Translation<SliceAttrs, 1, 1> = (w, [x], { inputs: [whole], attrs: { axis, start, size } }) => {
  const end = extent(whole, axis);
  if (start < 0 || start + size > end) {
    throw new TypeError(
      `Cannot write a window of ${size} from ${start} of ${showShape(whole.shape)} as ONNX: it pads`,
    );
  }
  // Not a Slice: that of ONNX Runtime Web's WebGPU provider (1.22.0, calculateInputIndicesImpl) begins one past the last
  // axis, which the WebGPU of Chrome forgives and that of Deno does not.
  const sizes = [start, size, end - start - size];
  const at = start > 0 ? 1 : 0;
  return w.split(x, axis, sizes.filter((n) => n > 0)).slice(at, at + 1);
};

/** Ops without a form in ONNX yet: those of losses, gradients, optimizers and kernels, and those that no exported network has. */
type Untranslated =
  | "abs"
  | "adam"
  | "adaptive_sum_pool"
  | "add_squares"
  | "attention_grad"
  | "attention_tiles"
  | "attention_tiles_grad"
  | "awing"
  | "awing_grad"
  | "clamp"
  | "clip_factor"
  | "conv2d_backward_input"
  | "conv2d_backward_weight"
  | "eigen_2x2"
  | "eigen_2x2_grad"
  | "embedding"
  | "embedding_grad"
  | "exp"
  | "expand"
  | "gelu_grad"
  | "group_sums"
  | "im2col"
  | "is_finite"
  | "log"
  | "max_pool_grad"
  | "minimum"
  | "momentum"
  | "nearest_row"
  | "normalize_sums"
  | "random_normal"
  | "random_uniform"
  | "recompute"
  | "sign"
  | "silu_grad"
  | "smooth_l1"
  | "smooth_l1_grad"
  | "stop_gradient"
  | "sum_last"
  | "tanh"
  | "upsample_bilinear"
  | "unscale"
  | "upsample_bilinear_grad"
  | "where"
  | "wing"
  | "wing_grad"
  | "winograd_filter"
  | "winograd_filter_grad"
  | "winograd_filter_grad_product"
  | "winograd_grad_output_transform"
  | "winograd_input"
  | "winograd_output"
  | "winograd_product";

/** Every op is here or in {@linkcode Untranslated}: one that is in neither does not compile. */
const TRANSLATIONS: { readonly [Name in Exclude<OpName, Untranslated>]: TranslationOf<Ops[Name]> } = {
  add: same("Add"),
  sqrt: same("Sqrt"),
  sub: same("Sub"),
  mul: same("Mul"),
  div: same("Div"),
  maximum: same("Max"),
  relu: same("Relu"),
  sigmoid: same("Sigmoid"),
  silu: (w, [x]) => [w.emit("Mul", [x, w.emit("Sigmoid", [x])])],
  // x P(X <= x); there is a Gelu from operator set 20 on.
  gelu(w, [x]) {
    const erf = w.emit("Erf", [w.emit("Mul", [x, scalar(w, Math.SQRT1_2)])]);
    const cdf = w.emit("Mul", [w.emit("Add", [erf, scalar(w, 1)]), scalar(w, 0.5)]);
    return [w.emit("Mul", [x, cdf])];
  },
  reshape: toShape,
  repack: toShape,
  slice: window,
  slice_texels: window,
  concat: (w, inputs, { attrs: { axis } }) => [w.emit("Concat", inputs, { axis })],
  permute: (w, inputs, { attrs: { order } }) => [w.emit("Transpose", inputs, { perm: order })],
  affine(w, [x], { attrs: { factor, offset } }) {
    const scaled = w.emit("Mul", [x, scalar(w, factor)]);
    return [offset === 0 ? scaled : w.emit("Add", [scaled, scalar(w, offset)])];
  },
  rsqrt(w, [x], { attrs: { eps } }) {
    return [w.emit("Reciprocal", [w.emit("Sqrt", [w.emit("Add", [x, scalar(w, eps)])])])];
  },
  step(w, [x], { attrs: { at } }) {
    return [w.emit("Cast", [w.emit("Greater", [x, scalar(w, at)])], { to: FLOAT })];
  },
  softmax(w, [x], { attrs: { scale, causal } }) {
    if (causal) throw new TypeError("Cannot write a causal softmax as ONNX: it has no form there yet");
    return [w.emit("Softmax", [w.emit("Mul", [x, scalar(w, scale)])], { axis: -1 })];
  },
  conv2d(w, [x, filter], { inputs: [, kernel], attrs: { stride, padding } }) {
    const weights = w.emit("Transpose", [filter], { perm: [3, 2, 0, 1] });
    const { KH, KW } = dims(kernel, "KH KW I O");
    // ONNX has defaults for all but the weights; ONNX Runtime Web's WebGPU provider (1.22.0) refuses to work without.
    const options = {
      kernel_shape: [KH, KW],
      strides: [stride, stride],
      pads: padding,
      dilations: [1, 1],
      group: 1,
    };
    return [channelsFirst(w, x, (h) => w.emit("Conv", [h, weights], options))];
  },
  max_pool(w, [x], { attrs: { kernel, stride, padding } }) {
    const square = (n: number) => [n, n];
    const options = {
      kernel_shape: square(kernel),
      strides: square(stride),
      pads: [...square(padding), ...square(padding)],
    };
    return [channelsFirst(w, x, (h) => w.emit("MaxPool", [h], options))];
  },
  upsample_nearest(w, [x], { inputs: [small], outputs: [large] }) {
    const { H, W } = dims(small, "N H W C");
    const { HO, WO } = dims(large, "N HO WO C");
    if (HO % H || WO % W) throw new TypeError(`Cannot write an enlargement from ${H} x ${W} to ${HO} x ${WO} as ONNX`);
    // By default a Resize takes the nearest, and between two centres of pixels there is none in the middle here.
    const scales = w.floats([1, 1, HO / H, WO / W], [4]);
    return [channelsFirst(w, x, (h) => w.emit("Resize", [h, "", scales]))];
  },
  matmul(w, [a, b], { inputs: [left, right], outputs: [result], attrs }) {
    const { heads, ta, tb, merged_a, merged_b, merged_y } = attrs;
    const operand = (name: string, value: Value, merged: boolean, turn: boolean) => {
      const split = splitHeads(w, name, value, heads, merged);
      return turn ? w.emit("Transpose", [split], { perm: heads === 1 ? [0, 2, 1] : [0, 1, 3, 2] }) : split;
    };
    const [x, y] = [operand(a, left, merged_a, ta), operand(b, right, merged_b, tb)];
    const product = w.emit("MatMul", [x, y]);
    const joined = heads > 1 && merged_y ? w.emit("Transpose", [product], { perm: [0, 2, 1, 3] }) : product;
    return [reshapeTo(w, joined, result)];
  },
  attention: (_, [y]) => [y],
  time_embedding(w, [t, frequencies], { inputs: [timesteps], attrs: { flip } }) {
    const angles = w.emit("Mul", [w.emit("Reshape", [t, w.ints([extent(timesteps, 0), 1])]), frequencies]);
    const waves = [w.emit("Sin", [angles]), w.emit("Cos", [angles])];
    return [w.emit("Concat", flip ? waves.reverse() : waves, { axis: 1 })];
  },
  sum(w, [x], { inputs: [whole], attrs: { parts } }) {
    const { A, B } = dims(whole, "A B ...");
    const inner = whole.shape.slice(2);
    const split = w.emit("Reshape", [x, w.ints([A, parts, B / parts, ...inner])]);
    return [w.emit("ReduceSum", [split, w.ints([2])], { keepdims: 0 })];
  },
  row_moments: (w, [x], { inputs: [rows] }) => meanAndVariance(w, x, [rows.shape.length - 1]),
  moments_parts: () => [],
  moments(w, [, , x], { inputs: [, , maps], outputs, attrs: { groups } }) {
    const { N, C } = dims(maps, "N ... C");
    const split = w.emit("Reshape", [x, w.ints([N, -1, groups, C / groups])]);
    const [mean, variance] = meanAndVariance(w, split, [1, 3]);
    const spread = (name: string, value: Value) =>
      reshapeTo(w, w.emit("Expand", [name, w.ints([N, 1, groups, C / groups])]), value);
    return [spread(mean, outputs[0]), spread(variance, outputs[1])];
  },
  normalize(w, [x, mean, factor, shift]) {
    return [w.emit("Add", [w.emit("Mul", [w.emit("Sub", [x, mean]), factor]), shift])];
  },
};

/** An op's inputs and attributes are those of its name, so its own translation takes every node of it. */
const byName = new Map(Object.entries(TRANSLATIONS) as unknown as readonly [string, Translation][]);

/** Translation of an op; undefined for one that has no form in ONNX. */
export const translationOf = (name: string): Translation | undefined => byName.get(name);
