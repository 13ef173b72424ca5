/**
 * Golden checks of single ops and blocks, forward and backward, and of optimizers.
 *
 * @module
 */

import { z } from "zod";
import {
  attend,
  convolve,
  normalise,
  normaliseTokens,
  project,
  resnet,
  transformer,
  upsample,
} from "../../models/diffusion/layers.ts";
import { type ParameterSpec, Scope } from "../../models/io/params.ts";
import { fromFileLayout, toFileLayout } from "../../models/io/parameter_files.ts";
import { add } from "../../ops/add.ts";
import { sumOfSquares } from "../../ops/add_squares.ts";
import { gradients } from "../../ops/autodiff.ts";
import { avgPool } from "../../ops/avg_pool.ts";
import { clamp } from "../../ops/clamp.ts";
import { clipFactor } from "../../ops/clip_factor.ts";
import { conv2d } from "../../ops/conv2d.ts";
import { convTranspose2d } from "../../ops/conv_transpose2d.ts";
import { embedding } from "../../ops/embedding.ts";
import { geglu } from "../../ops/geglu.ts";
import { gelu } from "../../ops/gelu.ts";
import { linear } from "../../ops/linear.ts";
import { maxPool } from "../../ops/max_pool.ts";
import { mse } from "../../ops/mse.ts";
import { mul } from "../../ops/mul.ts";
import { batchNorm, batchNormTrain, groupNorm, instanceNorm, layerNorm } from "../../ops/norm.ts";
import { adamHyper } from "../../ops/adam.ts";
import { adamUpdates, rmspropUpdates, sgdUpdates } from "../../ops/optimizer.ts";
import { constantSchedule, cosineSchedule, linearSchedule, stepSchedule } from "../../models/lr_schedule.ts";
import { quickGelu } from "../../ops/quick_gelu.ts";
import { relu } from "../../ops/relu.ts";
import { reshape } from "../../ops/reshape.ts";
import { sigmoid } from "../../ops/sigmoid.ts";
import { silu } from "../../ops/silu.ts";
import { slice } from "../../ops/slice.ts";
import { softmax } from "../../ops/softmax.ts";
import { sqrt } from "../../ops/sqrt.ts";
import { sum } from "../../ops/sum.ts";
import { timeEmbedding } from "../../ops/time_embedding.ts";
import { upsampleBilinear } from "../../ops/upsample_bilinear.ts";
import { upsampleNearest } from "../../ops/upsample_nearest.ts";
import type { Device } from "../../engine/device.ts";
import { dims, elements, Graph, type Shape, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { Tensor } from "../../engine/tensor.ts";
import { InputError } from "../../formats/input_error.ts";
import { allTensors, type GoldenCheck, numbersIn, parsePart, tensorOf } from "./case.ts";
import { compareGroups, exact, goldenError } from "./compare.ts";
import { channelsFirst, channelsLast } from "./layout.ts";

/** Attributes of a case's ops. */
const opsConfig = z.strictObject({
  B: z.int(),
  C: z.int(),
  H: z.int(),
  W: z.int(),
  groups: z.int().min(1).describe("Of the group norms"),
  chain_groups: z.int().min(1).default(2).describe("Of the group norm in silu_conv_chain"),
  D: z.int(),
  heads: z.int().min(1).describe("Of the attentions but the autoencoder's, which has one"),
  ts: z.array(z.number()),
  tdim: z.int().describe("Width of the time embeddings"),
});

/** Inputs of an op. */
interface Given {
  /** Inputs of the case, `in.NAME`. */
  readonly at: (name: string) => Value;
  /** Where blocks declare their parameters, `in.p.NAME`. */
  readonly scope: Scope;
  readonly config: z.output<typeof opsConfig>;
  /** The case's words about the op. */
  readonly words: string;
  /** Shape of the result `out`, in the layout of the graph. */
  readonly out: Shape;
}

/** Builds an op of a case from its inputs. */
type Build = (given: Given) => Value | Value[];

const conv =
  (options: { stride?: number; padding?: number | readonly [number, number, number, number] }): Build => ({ at }) =>
    conv2d(at("x"), at("w"), { ...options, bias: at("b") });
const norm: Build = ({ at, config: { groups }, words }) =>
  groupNorm(at("x"), at("w"), at("b"), {
    groups,
    eps: numbersIn(words, /eps (?<eps>[\d.]+(e-?\d+)?)/, "the epsilon of a group norm")["eps"] ?? NaN,
  });
const unary = (op: (x: Value) => Value): Build => ({ at }) => op(at("x"));
const running = ({ at }: Given) => ({ mean: at("running_mean"), var: at("running_var") });
const feedForward = (x: Value, scope: Scope) => {
  const C = x.shape.at(-1) ?? 0;
  const { weight, bias } = scope.linear("net.0.proj", C, 8 * C);
  return project(scope, "net.2", geglu(x, weight, bias ?? zerosOf(x, 8 * C)), C);
};
const zerosOf = (x: Value, count: number) => x.graph.constant(new Float32Array(count), [count]);
const lastOf = (shape: Shape) => shape.at(-1) ?? 0;

const builds: Readonly<Record<string, Build>> = {
  "conv3x3": conv({ padding: 1 }),
  "conv3x3_s2": conv({ stride: 2, padding: 1 }),
  "conv3x3_s2_pad01": conv({ stride: 2, padding: [0, 0, 1, 1] }),
  "conv1x1": conv({}),
  "conv7x7_s2": conv({ stride: 2, padding: 3 }),
  "conv_transpose4x4_s2": ({ at }) => convTranspose2d(at("x"), at("w"), { stride: 2, padding: 1, bias: at("b") }),
  "linear": ({ at }) => linear(at("x"), at("w"), at("b")),
  "group_norm_eps1e-5": norm,
  "group_norm_eps1e-6_tiny_variance": norm,
  "group_norm_offset": norm,
  "layer_norm": ({ at }) => layerNorm(at("x"), at("w"), at("b")),
  "batch_norm_train": (given) => {
    const { at } = given;
    const { y, running_mean, running_var } = batchNormTrain(at("x"), at("w"), at("b"), running(given));
    return [y, running_mean, running_var];
  },
  "batch_norm_eval": (given) => batchNorm(given.at("x"), given.at("w"), given.at("b"), running(given)),
  "instance_norm": unary(instanceNorm),
  "silu": unary(silu),
  "gelu_erf": unary(gelu),
  "quick_gelu": unary(quickGelu),
  "sigmoid": unary(sigmoid),
  "relu": unary(relu),
  "softmax_last": unary((x) => softmax(x)),
  "max_pool2": unary((x) => maxPool(x)),
  "max_pool3_s1_p1": unary((x) => maxPool(x, { kernel: 3, stride: 1, padding: 1 })),
  "avg_pool2": unary((x) => avgPool(x)),
  "nearest_up2": unary((x) => upsampleNearest(x)),
  "bilinear_up2": unary((x) => upsampleBilinear(x)),
  "bilinear_up2_align": unary((x) => upsampleBilinear(x, 2, true)),
  "bilinear_down4": ({ at, out: [, H, W] }) => upsampleBilinear(at("x"), [H ?? 0, W ?? 0]),
  "bilinear_odd": ({ at, out: [, H, W] }) => upsampleBilinear(at("x"), [H ?? 0, W ?? 0]),
  "embedding": ({ at }) => embedding(at("w"), at("ids")),
  "mse_mean": ({ at }) => mse(at("a"), at("b")),
  "geglu": ({ at, scope, out }) => {
    const { weight, bias } = scope.linear("proj", lastOf(at("x").shape), 2 * lastOf(out));
    return geglu(at("x"), weight, bias ?? zerosOf(at("x"), 2 * lastOf(out)));
  },
  "feed_forward": ({ at, scope }) => feedForward(at("x"), scope),
  "attention_self": ({ at, scope, config: { heads } }) => attend(scope, at("x"), at("x"), heads),
  "attention_cross": ({ at, scope, config: { heads } }) => attend(scope, at("x"), at("context"), heads),
  "transformer_block": ({ at, scope, config: { heads } }) => {
    const self = normaliseTokens(scope, "norm1", at("x"));
    let h = add(at("x"), attend(scope.at("attn1"), self, self, heads));
    h = add(h, attend(scope.at("attn2"), normaliseTokens(scope, "norm2", h), at("context"), heads));
    return add(h, feedForward(normaliseTokens(scope, "norm3", h), scope.at("ff")));
  },
  "transformer_2d": ({ at, scope, config: { heads, groups } }) =>
    transformer(scope, at("x"), heads, { groups, context: at("context"), linear_projection: false, depth: 1 }),
  "resnet_temb": ({ at, scope, config: { groups }, out }) =>
    resnet(scope, at("x"), lastOf(out), { groups, eps: 1e-5, time: at("temb") }),
  "upsample": ({ at, scope }) => upsample(scope, at("x")),
  "downsample_pad1": ({ at, scope, out }) => convolve(scope, "Conv2d_0", at("x"), lastOf(out), { stride: 2 }),
  "downsample_pad0": ({ at, scope, out }) =>
    convolve(scope, "Conv2d_0", at("x"), lastOf(out), { stride: 2, padding: [0, 0, 1, 1] }),
  "vae_attention": ({ at, scope, config: { groups } }) => {
    const x = at("x");
    const { N, H, W, C } = dims(x, "N H W C");
    const tokens = reshape(normalise(scope, "group_norm", x, { groups, eps: 1e-6 }), [N, H * W, C]);
    return add(x, reshape(attend(scope, tokens, tokens, 1, true), [N, H, W, C]));
  },
  "timestep_mlp": ({ at, scope, out }) =>
    project(scope, "linear_2", silu(project(scope, "linear_1", at("x"), lastOf(out))), lastOf(out)),
  "diagonal_gaussian": ({ at }) => {
    const half = lastOf(at("moments").shape) / 2;
    return [slice(at("moments"), 3, 0, half), clamp(slice(at("moments"), 3, half, half), -30, 20)];
  },
  "silu_conv_chain": ({ at, config: { chain_groups } }) => {
    const h = conv2d(at("x"), at("w1"), { padding: 1 });
    const C = lastOf(h.shape);
    const ones = h.graph.constant(new Float32Array(C).fill(1), [C]);
    return conv2d(silu(groupNorm(h, ones, zerosOf(h, C), { groups: chain_groups })), at("w2"), { padding: 1 });
  },
  "timestep_sd": ({ at, config: { tdim } }) => timeEmbedding(at("timesteps"), tdim),
  "timestep_ddpm": ({ at, config: { tdim } }) =>
    timeEmbedding(at("timesteps"), tdim, { flip_sin_to_cos: false, freq_shift: 1 }),
};

/** Ops and blocks: outputs, and gradients of every input and parameter. */
export const opsCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const config = parsePart(c, opsConfig);
  const words = parsePart(c, z.record(z.string(), z.string()), "ops");
  const strange = [...want.keys()].find((name) => !(name.slice(0, name.indexOf("/")) in words));
  if (strange !== undefined) {
    throw new InputError(`Cannot check "${strange}" of ${c.name}: "ops" has no op of that name`);
  }
  const results = [];
  for (const [op, text] of Object.entries(words)) {
    const tensors = new Map(
      [...want].filter(([name]) => name.startsWith(`${op}/`)).map(([n, t]) => [n.slice(op.length + 1), t] as const),
    );
    const build = builds[op];
    if (!build) {
      throw new InputError(`Cannot check op "${op}" of ${c.name}: it is none of ${Object.keys(builds).join(", ")}`);
    }
    const got = await runOp(op, build, { config, words: text }, tensors, device);
    const [scale, tolerance] = [c.json.group_scale?.[op], c.json.tolerance?.[op]];
    if (typeof tolerance !== "number" || scale === undefined) {
      throw new InputError(`Cannot check op "${op}" of ${c.name}: it has no tolerance or no group_scale`);
    }
    let worst = { group: op, error: -1, tolerance, tensor: "" };
    for (const [name, { data }] of tensors) {
      if (!/^(out\d*$|grad\.)/.test(name)) continue;
      const values = got.get(name);
      const error = values ? goldenError(values, data, scale, 1e-4) : Infinity;
      if (!(error <= worst.error)) worst = { group: op, error, tolerance, tensor: name };
    }
    if (worst.error < 0) throw new InputError(`Cannot check op "${op}" of ${c.name}: the case has no result of it`);
    results.push(worst);
  }
  return results;
};

async function runOp(
  op: string,
  build: Build,
  about: Pick<Given, "config" | "words">,
  tensors: ReadonlyMap<string, TensorData>,
  device: Device,
) {
  const strange = [...tensors.keys()].find((name) => !/^(in\.|grad\.|(out|cotangent)\d*$)/.test(name));
  if (strange !== undefined) {
    throw new InputError(`Cannot check "${op}/${strange}": it is no input, result or gradient`);
  }
  const graph = new Graph();
  const { inputs, data, specs } = inputsOf(graph, op, tensors);
  const at = (name: string) => {
    const value = inputs[name];
    if (!value) tensorOf(tensors, `in.${name}`);
    return value as Value;
  };
  const result = tensors.get("out") ?? tensorOf(tensors, "out0");
  const out = result.shape.length === 4 ? channelsLast(result).shape : result.shape;
  const outs = [build({ at, scope: new Scope(graph, specs, "p."), ...about, out })].flat();
  const suffixOf = (k: number) => outs.length > 1 ? `${k}` : "";
  const outputs: Record<string, Value> = {
    ...Object.fromEntries(outs.map((out, k) => [`out${suffixOf(k)}`, out])),
    ...gradientsOf(graph, op, outs.map((out, k) => [out, tensors.get(`cotangent${suffixOf(k)}`)]), tensors, inputs),
  };

  const specOf = (name: string) => specs.get(name) as ParameterSpec;
  const parameters = new Map(
    [...graph.parameters].map(([name, { shape }]) =>
      [name, new Tensor(device, shape, fromFileLayout(specOf(name), tensorOf(tensors, `in.${name}`).data))] as const
    ),
  );
  const exe = new Executable(device, { outputs }, parameters);
  exe.run(data);
  const got = new Map<string, Float32Array>();
  for (const [name, { shape }] of Object.entries(outputs)) {
    const values = await exe.read(name);
    const spec = specs.get(name.slice("grad.".length));
    got.set(name, spec ? toFileLayout(spec, values) : shape.length === 4 ? channelsFirst(values, shape) : values);
  }
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  return got;
}

/** Inputs of an op and their data in this library's layout; `specs` are the weights among them. */
function inputsOf(graph: Graph, op: string, tensors: ReadonlyMap<string, TensorData>) {
  const specs = new Map<string, ParameterSpec>();
  const data: Record<string, ArrayLike<number>> = {};
  const inputs: Record<string, Value> = {};
  for (const [full, tensor] of tensors) {
    const name = /^in\.(?!p\.)(.+)$/.exec(full)?.[1];
    if (!name) continue;
    const isWeight = /^w\d?$/.test(name) && (tensor.shape.length === 4 || op === "linear");
    if (isWeight) {
      const [O, I, ...rest] = tensor.shape as [number, number];
      const spec = {
        name,
        shape: [...rest, I, O],
        layout: "conv" as const,
        init: { kind: "constant", value: 0 } as const,
      };
      specs.set(name, spec);
      data[name] = fromFileLayout(spec, tensor.data);
      inputs[name] = graph.input(name, spec.shape);
    } else {
      const laid = tensor.shape.length === 4 ? channelsLast(tensor) : tensor;
      data[name] = laid.data;
      inputs[name] = graph.input(name, laid.shape);
    }
  }
  return { inputs, data, specs };
}

/** Gradients that the case has, `grad.<name>`, of the outputs weighted by their cotangents; none without a cotangent. */
function gradientsOf(
  graph: Graph,
  op: string,
  outs: readonly (readonly [Value, cotangent: TensorData | undefined])[],
  tensors: ReadonlyMap<string, TensorData>,
  inputs: Readonly<Record<string, Value>>,
): Record<string, Value> {
  const terms = outs.flatMap(([out, cotangent]) => {
    if (!cotangent) return [];
    const { data } = cotangent.shape.length === 4 ? channelsLast(cotangent) : cotangent;
    return [sum(mul(out, graph.constant(data, out.shape)))];
  });
  const names = [...tensors.keys()].filter((name) => name.startsWith("grad."));
  if (!terms.length) return {};
  const wrt = names.map((name) => {
    const value = inputs[name.slice("grad.".length)] ?? graph.parameters.get(name.slice("grad.".length));
    if (!value) throw new InputError(`Cannot check "${op}/${name}": the op has nothing of that name`);
    return value;
  });
  const grads = gradients(terms.reduce((a, b) => add(a, b)), wrt);
  return Object.fromEntries(names.map((name, k) => [name, itemAt(grads, k, "gradients")]));
}

const number = z.number();
const adamSchema = z.strictObject({
  lr: number,
  betas: z.tuple([number, number]),
  eps: number,
  weight_decay: number.default(0),
  note: z.string().optional(),
});
const optimizersConfig = z.strictObject({
  adam: adamSchema,
  adam_l2: adamSchema,
  adamw: adamSchema,
  sgd_momentum: z.strictObject({ lr: number, momentum: number, weight_decay: number.default(0) }),
  rmsprop: z.strictObject({
    lr: number,
    alpha: number,
    eps: number,
    momentum: number.default(0),
    weight_decay: number.default(0),
  }),
}).partial();

/** Adam, Adam with L2, AdamW, SGD with momentum, RMSprop, clipping and learning-rate schedules. */
export const optimizersCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const config = parsePart(c, optimizersConfig);
  const got = new Map<string, ArrayLike<number>>();
  const { shape, data: start } = tensorOf(want, "input/p0");
  const grads = tensorOf(want, "input/grads");
  const size = start.length;

  for (const [name, given] of Object.entries(config)) {
    if (!given) continue;
    const { lr } = given;
    const graph = new Graph();
    const trainable = new Map([["p", graph.parameter("p", shape)]]);
    const g = [graph.input("g", shape)];
    const updates = "betas" in given
      ? adamUpdates(graph, trainable, g, { l2: name === "adam_l2" }).updates
      : "alpha" in given
      ? rmspropUpdates(graph, trainable, g, given)
      : sgdUpdates(graph, trainable, g, given);
    const tensors = new Map([...graph.parameters.keys()].map((n) => [n, new Tensor(device, shape)]));
    const tensor = (name: string) => tensors.get(name) as Tensor;
    tensor("p").write(start);
    const exe = new Executable(device, { outputs: {}, updates }, tensors);
    const steps: number[] = [];
    for (let step = 0; step < (grads.shape[0] ?? 0); step++) {
      const hyper = "betas" in given
        ? { "adam.hyper": adamHyper(step, { ...given, beta1: given.betas[0], beta2: given.betas[1] }) }
        : { lr: [lr] };
      exe.run({ ...hyper, g: grads.data.subarray(step * size, (step + 1) * size) });
      steps.push(...await tensor("p").read());
    }
    got.set(`p/${name}`, steps);
    if (name === "adam") {
      got.set("state/adam_exp_avg", await tensor("adam.m/p").read());
      got.set("state/adam_exp_avg_sq", await tensor("adam.v/p").read());
    }
    exe.destroy();
    for (const tensor of tensors.values()) tensor.destroy();
  }

  const { max_norm = NaN } = numbersIn(c.json["clip"], /max_norm (?<max_norm>[\d.]*\d)/, "the largest norm");
  const shapeOf = (name: string) => tensorOf(want, name).shape;
  const clipped = await clipGradients(device, shapeOf, grads.data, max_norm);
  for (const [name, values] of clipped) got.set(name, values);

  const rates = Object.entries(parsePart(c, z.record(z.string(), z.array(number)), "lr_schedules"));
  const wrong = rates.find(([name, rates]) => {
    const [schedule, base] = scheduleOf(name);
    return !rates.every((rate, step) => Math.abs(schedule(step) * base - rate) <= 1e-15);
  });
  return [...compareGroups(c, want, got), { ...exact("lr_schedules", wrong === undefined), tensor: wrong?.[0] ?? "" }];
};

/** Clips two gradients, which are the first values of `data` one after the other, by their common norm. */
async function clipGradients(
  device: Device,
  shapeOf: (name: "clip/a" | "clip/b") => Shape,
  data: Float32Array,
  max_norm: number,
): Promise<Map<string, Float32Array>> {
  const graph = new Graph();
  const a = graph.input("clip/a", shapeOf("clip/a")), b = graph.input("clip/b", shapeOf("clip/b"));
  const squares = sumOfSquares([a, b]);
  const factor = clipFactor(squares, max_norm);
  const outputs = { "clip/total_norm": sqrt(squares), "clip/a": mul(a, factor), "clip/b": mul(b, factor) };
  const exe = new Executable(device, { outputs });
  const end = elements(a.shape);
  exe.run({ "clip/a": data.subarray(0, end), "clip/b": data.subarray(end, end + elements(b.shape)) });
  const got = new Map<string, Float32Array>();
  for (const name of Object.keys(outputs)) got.set(name, await exe.read(name));
  exe.destroy();
  return got;
}

/** A learning-rate schedule and its base rate from the words that the case names it by. */
function scheduleOf(words: string): [(step: number) => number, number] {
  const { base = NaN } = numbersIn(words, /base (?<base>[\d.]+(e-?\d+)?)/, "a base rate");
  const steps = /MultiStepLR milestones ([\d,]+) gamma ([\d.]*\d)/.exec(words);
  if (steps) return [stepSchedule(`${steps[1]}`.split(",").filter(Boolean).map(Number), Number(steps[2])), base];
  const { warmup = NaN, total = NaN } = numbersIn(words, /warmup (?<warmup>\d+), total (?<total>\d+)/, "a schedule");
  if (/constant_with_warmup/.test(words)) return [constantSchedule(warmup), base];
  if (/\blinear\b/.test(words)) return [linearSchedule(total, warmup), base];
  if (/\bcosine\b/.test(words)) return [cosineSchedule(total, warmup), base];
  throw new InputError(`Cannot check the learning rates of "${words}": that schedule is not built here`);
}
