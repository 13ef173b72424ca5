/**
 * Golden checks of single ops and blocks, forward and backward, and of optimisers.
 *
 * @module
 */

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
import { fromFileLayout, type ParameterSpec, Scope, toFileLayout } from "../../models/io/params.ts";
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
import { mul } from "../../ops/mul.ts";
import { batchNorm, batchNormTrain, groupNorm, instanceNorm, layerNorm } from "../../ops/norm.ts";
import { adamHyper, adamUpdates, rmspropUpdates, sgdUpdates } from "../../ops/optimizer.ts";
import { constantSchedule, cosineSchedule, linearSchedule, stepSchedule } from "../../models/lr_schedule.ts";
import { quickGelu } from "../../ops/quick_gelu.ts";
import { relu } from "../../ops/relu.ts";
import { reshape } from "../../ops/reshape.ts";
import { sigmoid } from "../../ops/sigmoid.ts";
import { silu } from "../../ops/silu.ts";
import { slice } from "../../ops/slice.ts";
import { softmax } from "../../ops/softmax.ts";
import { sqrt } from "../../ops/sqrt.ts";
import { sub } from "../../ops/sub.ts";
import { mean, sum } from "../../ops/sum.ts";
import { timeEmbedding } from "../../ops/time_embedding.ts";
import { upsampleBilinear } from "../../ops/upsample_bilinear.ts";
import { upsampleNearest } from "../../ops/upsample_nearest.ts";
import type { Device } from "../../engine/device.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { Tensor } from "../../engine/tensor.ts";
import { allTensors, channelsFirst, channelsLast, exact, type GoldenCheck, goldenError } from "./case.ts";

/** Builds an op of a case from its inputs; blocks name their parameters below `scope`. */
type Build = (inputs: Record<string, Value>, scope: Scope) => Value | Value[];

const conv =
  (options: { stride?: number; padding?: number | readonly [number, number, number, number] }): Build =>
  ({ x, w, b }) => conv2d(x!, w!, { ...options, bias: b! });
const norm = (eps: number): Build => ({ x, w, b }) => groupNorm(x!, w!, b!, { groups: 4, eps });
const running = (i: Record<string, Value>) => ({ mean: i.running_mean!, var: i.running_var! });
const feedForward = (x: Value, scope: Scope) => {
  const C = x.shape.at(-1)!;
  const { weight, bias } = scope.linear("net.0.proj", C, 8 * C);
  return project(scope, "net.2", geglu(x, weight, bias!), C);
};

const builds: Readonly<Record<string, Build>> = {
  "conv3x3": conv({ padding: 1 }),
  "conv3x3_s2": conv({ stride: 2, padding: 1 }),
  "conv3x3_s2_pad01": conv({ stride: 2, padding: [0, 0, 1, 1] }),
  "conv1x1": conv({}),
  "conv7x7_s2": conv({ stride: 2, padding: 3 }),
  "conv_transpose4x4_s2": ({ x, w, b }) => convTranspose2d(x!, w!, { stride: 2, padding: 1, bias: b! }),
  "linear": ({ x, w, b }) => linear(x!, w!, b!),
  "group_norm_eps1e-5": norm(1e-5),
  "group_norm_eps1e-6_tiny_variance": norm(1e-6),
  "group_norm_offset": norm(1e-5),
  "layer_norm": ({ x, w, b }) => layerNorm(x!, w!, b!),
  "batch_norm_train": (i) => {
    const { y, running_mean, running_var } = batchNormTrain(i.x!, i.w!, i.b!, running(i));
    return [y, running_mean, running_var];
  },
  "batch_norm_eval": (i) => batchNorm(i.x!, i.w!, i.b!, running(i)),
  "instance_norm": ({ x }) => instanceNorm(x!),
  "silu": ({ x }) => silu(x!),
  "gelu_erf": ({ x }) => gelu(x!),
  "quick_gelu": ({ x }) => quickGelu(x!),
  "sigmoid": ({ x }) => sigmoid(x!),
  "relu": ({ x }) => relu(x!),
  "softmax_last": ({ x }) => softmax(x!),
  "max_pool2": ({ x }) => maxPool(x!),
  "max_pool3_s1_p1": ({ x }) => maxPool(x!, { kernel: 3, stride: 1, padding: 1 }),
  "avg_pool2": ({ x }) => avgPool(x!),
  "nearest_up2": ({ x }) => upsampleNearest(x!),
  "bilinear_up2": ({ x }) => upsampleBilinear(x!),
  "bilinear_up2_align": ({ x }) => upsampleBilinear(x!, 2, true),
  "bilinear_down4": ({ x }) => upsampleBilinear(x!, [x!.shape[1]! / 4, x!.shape[2]! / 4]),
  "bilinear_odd": ({ x }) => upsampleBilinear(x!, [7, 11]),
  "embedding": ({ w, ids }) => embedding(w!, ids!),
  "mse_mean": ({ a, b }) => {
    const d = sub(a!, b!);
    return mean(mul(d, d));
  },
  "geglu": ({ x }, scope) => {
    const { weight, bias } = scope.linear("proj", 16, 64);
    return geglu(x!, weight, bias!);
  },
  "feed_forward": ({ x }, scope) => feedForward(x!, scope),
  "attention_self": ({ x }, scope) => attend(scope, x!, x!, 4),
  "attention_cross": ({ x, context }, scope) => attend(scope, x!, context!, 4),
  "transformer_block": ({ x, context }, scope) => {
    const self = normaliseTokens(scope, "norm1", x!);
    let h = add(x!, attend(scope.at("attn1"), self, self, 4));
    h = add(h, attend(scope.at("attn2"), normaliseTokens(scope, "norm2", h), context!, 4));
    return add(h, feedForward(normaliseTokens(scope, "norm3", h), scope.at("ff")));
  },
  "transformer_2d": ({ x, context }, scope) =>
    transformer(scope, x!, 4, { groups: 4, context: context!, linear_projection: false, depth: 1 }),
  "resnet_temb": ({ x, temb }, scope) => resnet(scope, x!, 12, { groups: 4, eps: 1e-5, time: temb! }),
  "upsample": ({ x }, scope) => upsample(scope, x!),
  "downsample_pad1": ({ x }, scope) => convolve(scope, "Conv2d_0", x!, 4, { stride: 2 }),
  "downsample_pad0": ({ x }, scope) => convolve(scope, "Conv2d_0", x!, 4, { stride: 2, padding: [0, 0, 1, 1] }),
  "vae_attention": ({ x }, scope) => {
    const [N, H, W, C] = x!.shape as [number, number, number, number];
    const tokens = reshape(normalise(scope, "group_norm", x!, { groups: 4, eps: 1e-6 }), [N, H * W, C]);
    return add(x!, reshape(attend(scope, tokens, tokens, 1, true), [N, H, W, C]));
  },
  "timestep_mlp": ({ x }, scope) => project(scope, "linear_2", silu(project(scope, "linear_1", x!, 16)), 16),
  "diagonal_gaussian": ({ moments }) => [slice(moments!, 3, 0, 2), clamp(slice(moments!, 3, 2, 2), -30, 20)],
  "silu_conv_chain": ({ x, w1, w2 }) => {
    const h = conv2d(x!, w1!, { padding: 1 });
    const [ones, zeros] = [1, 0].map((v) => h.graph.constant(new Float32Array(8).fill(v), [8]));
    return conv2d(silu(groupNorm(h, ones!, zeros!, { groups: 2 })), w2!, { padding: 1 });
  },
  "timestep_sd": ({ timesteps }) => timeEmbedding(timesteps!, 32),
  "timestep_ddpm": ({ timesteps }) => timeEmbedding(timesteps!, 32, { flip_sin_to_cos: false, freq_shift: 1 }),
};

/** The 46 ops and blocks: outputs, and gradients of every input and parameter. */
export const opsCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const results = [];
  for (const op of Object.keys(c.json.ops)) {
    const tensors = new Map(
      [...want].filter(([name]) => name.startsWith(`${op}/`)).map(([n, t]) => [n.slice(op.length + 1), t] as const),
    );
    const got = await runOp(op, tensors, device);
    const scale = c.json.group_scale![op]!;
    const tolerance = c.json.tolerance![op] as number;
    let worst = { group: op, error: 0, tolerance, tensor: "" };
    for (const [name, { data }] of tensors) {
      if (!/^(out|grad\.)/.test(name)) continue;
      const values = got.get(name);
      const error = values ? goldenError(values, data, scale, 1e-4) : Infinity;
      if (!(error <= worst.error)) worst = { group: op, error, tolerance, tensor: name };
    }
    results.push(worst);
  }
  return results;
};

async function runOp(op: string, tensors: ReadonlyMap<string, TensorData>, device: Device) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const data: Record<string, ArrayLike<number>> = {};
  const inputs: Record<string, Value> = {};
  for (const [full, tensor] of tensors) {
    const name = /^in\.(?!p\.)(.+)$/.exec(full)?.[1];
    if (!name) continue;
    const weight = /^w\d?$/.test(name) && (tensor.shape.length === 4 || op === "linear");
    if (weight) {
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
  const built = builds[op]?.(inputs, new Scope(graph, specs, "p."));
  if (!built) return new Map<string, Float32Array>();
  const outs = [built].flat();
  const outputs: Record<string, Value> = {};
  const terms: Value[] = [];
  outs.forEach((out, k) => {
    const suffix = outs.length > 1 ? `${k}` : "";
    outputs[`out${suffix}`] = out;
    const cotangent = tensors.get(`cotangent${suffix}`);
    if (!cotangent) return;
    const laid = cotangent.shape.length === 4 ? channelsLast(cotangent) : cotangent;
    terms.push(sum(mul(out, graph.constant(laid.data, out.shape))));
  });
  const wrt = [...tensors.keys()].filter((name) => name.startsWith("grad.")).map((name) => name.slice(5));
  const grads = terms.length
    ? gradients(terms.reduce((a, b) => add(a, b)), wrt.map((name) => inputs[name] ?? graph.parameters.get(name)!))
    : [];
  grads.forEach((g, k) => outputs[`grad.${wrt[k]}`] = g);

  const parameters = new Map(
    [...graph.parameters].map(([name, { shape }]) =>
      [name, new Tensor(device, shape, fromFileLayout(specs.get(name)!, tensors.get(`in.${name}`)!.data))] as const
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

/** Adam, Adam with L2, AdamW, SGD with momentum, RMSprop, clipping and learning-rate schedules. */
export const optimizersCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const { group_scale, tolerance, config, lr_schedules } = c.json;
  const results = new Map<string, { group: string; error: number; tolerance: number; tensor: string }>();
  const compare = (tensor: string, values: ArrayLike<number>) => {
    const group = tensor.slice(0, tensor.indexOf("/"));
    const error = goldenError(values, want.get(tensor)!.data, group_scale![group]!);
    const before = results.get(group);
    if (!before || error > before.error) {
      results.set(group, { group, error, tolerance: tolerance![group] as number, tensor });
    }
  };
  const shape = want.get("input/p0")!.shape;
  const grads = want.get("input/grads")!;
  const size = want.get("input/p0")!.data.length;

  for (const name of ["adam", "adam_l2", "adamw", "sgd_momentum", "rmsprop"]) {
    const { lr, betas: [beta1, beta2] = [], ...options } = config[name];
    const graph = new Graph();
    const trainable = new Map([["p", graph.parameter("p", shape)]]);
    const g = [graph.input("g", shape)];
    const updates = beta1 === undefined
      ? (name === "rmsprop" ? rmspropUpdates : sgdUpdates)(graph, trainable, g, options)
      : adamUpdates(graph, trainable, g, { l2: name === "adam_l2" }).updates;
    const tensors = new Map([...graph.parameters.keys()].map((n) => [n, new Tensor(device, shape)]));
    tensors.get("p")!.write(want.get("input/p0")!.data);
    const exe = new Executable(device, { outputs: {}, updates }, tensors);
    const steps: number[] = [];
    for (let step = 0; step < grads.shape[0]!; step++) {
      const hyper = adamHyper(step, { lr, beta1, beta2, ...options });
      exe.run({ "adam.hyper": hyper, lr: [lr], g: grads.data.subarray(step * size, (step + 1) * size) });
      steps.push(...await tensors.get("p")!.read());
    }
    compare(`p/${name}`, steps);
    if (name === "adam") {
      compare("state/adam_exp_avg", await tensors.get("adam.m/p")!.read());
      compare("state/adam_exp_avg_sq", await tensors.get("adam.v/p")!.read());
    }
    exe.destroy();
    for (const tensor of tensors.values()) tensor.destroy();
  }

  const graph = new Graph();
  const [a, b] = [graph.input("a", want.get("clip/a")!.shape), graph.input("b", want.get("clip/b")!.shape)];
  const squares = sumOfSquares([a, b]);
  const factor = clipFactor(squares, 1);
  const outputs = { "clip/total_norm": sqrt(squares), "clip/a": mul(a, factor), "clip/b": mul(b, factor) };
  const exe = new Executable(device, { outputs });
  exe.run({ a: grads.data.subarray(0, size), b: grads.data.subarray(size, size + want.get("clip/b")!.data.length) });
  for (const name of Object.keys(outputs)) compare(name, await exe.read(name));
  exe.destroy();

  const schedules = [
    stepSchedule([3, 5], 0.1),
    constantSchedule(4),
    linearSchedule(20, 4),
    cosineSchedule(20, 4),
  ];
  const agrees = Object.entries(lr_schedules as Record<string, number[]>).map(([name, rates], k) => {
    const base = Number(/base ([\d.e-]+)/.exec(name)![1]);
    return rates.every((rate, step) => Math.abs(schedules[k]!(step) * base - rate) <= 1e-15);
  });
  return [...results.values(), exact("lr_schedules", agrees.length === schedules.length && agrees.every(Boolean))];
};
