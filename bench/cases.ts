/**
 * All that the bench times. A line in {@linkcode CASES} is a case.
 *
 * @module
 */

import { STAR_SIZES } from "../models/detectors/star_detector.ts";
import { attention } from "../ops/attention.ts";
import { gradients } from "../ops/autodiff.ts";
import { conv2d } from "../ops/conv2d.ts";
import { conv2dBackwardInput } from "../ops/conv2d_backward_input.ts";
import { conv2dBackwardWeight } from "../ops/conv2d_backward_weight.ts";
import { matmul } from "../ops/matmul.ts";
import { mul } from "../ops/mul.ts";
import { groupNorm, layerNorm } from "../ops/norm.ts";
import { adamHyper } from "../ops/adam.ts";
import { adamUpdates } from "../ops/optimizer.ts";
import { silu } from "../ops/silu.ts";
import { softmax } from "../ops/softmax.ts";
import { sum } from "../ops/sum.ts";
import { itemAt } from "../engine/lookup.ts";
import { Graph, topological, type Value } from "../engine/graph.ts";
import type { Precision } from "../engine/plan/precision.ts";
import type { Fetches } from "../engine/plan/records.ts";
import {
  ddimStep,
  detectorForward,
  detectorStep,
  hourglassStep,
  largeResnet,
  largeTransformer,
  unetControlnetStep,
  unetForward,
  type Workload,
} from "./steps.ts";

/** Something to time. */
export interface Case {
  /** `conv2d.forward:n4-32x32-64-64`. */
  readonly name: string;
  /** The ceiling that it runs under: multiply-adds, or bytes read and written. */
  readonly bound: "arithmetic" | "copy";
  /** Describes it; touches no GPU. */
  workload(): Workload | Promise<Workload>;
  /** Floating point operations of the task, where the graph's own count is not them. */
  readonly flops?: number;
  /** True for batches that are for hardware: minutes on a software driver, where such cases are timed if asked for. */
  readonly large?: boolean;
}

/** Inputs of a graph by name and shape. */
type Inputs = (name: string, shape: readonly number[]) => Value;

/** A case with one result. */
function op(name: string, build: (input: Inputs) => Value, more: Partial<Case> = {}): Case {
  return several(name, (input) => ({ y: build(input) }), more);
}

/** A case with several results. */
function several(name: string, build: (input: Inputs) => Fetches["outputs"], more: Partial<Case> = {}): Case {
  const workload = () => {
    const graph = new Graph();
    return { fetches: { outputs: build((name, shape) => graph.input(name, shape)) } };
  };
  return { name, bound: "arithmetic", workload, ...more };
}

/** A case of {@linkcode Workload}. */
function step(name: string, workload: Case["workload"]): Case {
  return { name, bound: "arithmetic", workload };
}

/** Steps of a training at batch sizes that keep hardware busy, in both precisions. */
function trainingSteps(name: string, workload: (batch: number, precision?: Precision) => ReturnType<Case["workload"]>) {
  return [16, 64].flatMap((batch): Case[] => [
    { ...step(`${name}-b${batch}`, () => workload(batch)), large: true },
    { ...step(`${name}-b${batch}-f16-mixed`, () => workload(batch, "f16-mixed")), large: true },
  ]);
}

/** Convolution with both gradients, `[n, side, side, channels]` to as many channels. */
function convolution(n: number, side: number, channels: number, { kernel = 3, stride = 1 } = {}): Case[] {
  const padding = (kernel - 1) / 2;
  const out = side / stride;
  const same = { stride, padding: [padding, padding, padding, padding] } as const;
  const suffix = `${kernel === 3 ? "" : `-k${kernel}`}${stride === 1 ? "" : `-s${stride}`}`;
  const shape = `n${n}-${side}x${side}-${channels}-${channels}${suffix}`;
  const maps = [n, side, side, channels], filters = [kernel, kernel, channels, channels];
  const results = [n, out, out, channels];
  if (kernel === 1) {
    // A matrix product by another name, whose gradients choose their own form.
    const parts = (input: Inputs) => {
      const [x, f] = [input("x", maps), input("f", filters)];
      return { x, f, y: conv2d(x, f) };
    };
    const back = (input: Inputs, which: "x" | "f") => {
      const made = parts(input);
      return itemAt(pullback(made.y, input("dy", results), [made[which]]), 0, "gradients");
    };
    return [
      op(`conv2d.forward:${shape}`, (input) => parts(input).y),
      op(`conv2d.backward_input:${shape}`, (input) => back(input, "x")),
      op(`conv2d.backward_weight:${shape}`, (input) => back(input, "f")),
    ];
  }
  return [
    op(`conv2d.forward:${shape}`, (input) => conv2d(input("x", maps), input("f", filters), { padding, stride })),
    op(
      `conv2d.backward_input:${shape}`,
      (input) => conv2dBackwardInput(input("dy", results), input("f", filters), maps, same),
    ),
    op(
      `conv2d.backward_weight:${shape}`,
      (input) => conv2dBackwardWeight(input("x", maps), input("dy", results), filters, same),
    ),
  ];
}

/** Gradients of `sum(y dy)`: what backpropagation makes of `dy`. */
function pullback(y: Value, dy: Value, wrt: readonly Value[]): Value[] {
  return gradients(sum(mul(y, dy)), wrt);
}

/** Attention, and attention with its three gradients. */
function attentions(n: number, heads: number, tokens: number, width: number): Case[] {
  const shape = `b${n}-h${heads}-t${tokens}-d${width}`;
  const inputs = (input: Inputs) => {
    const sizes = [n, tokens, heads * width];
    const [q, k, v] = [input("q", sizes), input("k", sizes), input("v", sizes)];
    return { q, k, v, y: attention(q, k, v, { heads }) };
  };
  const product = 2 * n * heads * tokens * tokens * width;
  return [
    op(`attention.forward:${shape}`, (input) => inputs(input).y, { flops: 2 * product }),
    // A training needs the result and the gradients. Recomputed scores count once.
    several(`attention.backward:${shape}`, (input) => {
      const { y, ...from } = inputs(input);
      const found = pullback(y, input("dy", y.shape), Object.values(from));
      return {
        y,
        ...Object.fromEntries(Object.keys(from).map((name, i) => [`d${name}`, itemAt(found, i, "gradients")])),
      };
    }, { flops: 6 * product }),
  ];
}

/** Adam with clipping and the moving average, for parameters of 4 million numbers. */
function adam(): Workload {
  const graph = new Graph();
  const shape = [2048, 2048];
  const p = graph.parameter("p", shape);
  const { updates } = adamUpdates(graph, new Map([["p", p]]), [graph.input("g", shape)], { ema: true, clip_norm: 1 });
  return { fetches: { outputs: {}, updates }, inputs: { "adam.hyper": adamHyper(0, { lr: 1e-4 }) } };
}

const copied = { bound: "copy" } as const;

/** Every case, in the order of the table. */
export const CASES: readonly Case[] = [
  ...convolution(4, 32, 64),
  ...convolution(4, 16, 128),
  ...convolution(4, 8, 256),
  ...convolution(4, 32, 320, { kernel: 1 }),
  ...convolution(4, 32, 64, { stride: 2 }),
  op("matmul:512-512-512", (input) => matmul(input("a", [512, 512]), input("b", [512, 512]))),
  op(
    "matmul.nt:512-512-512",
    (input) => matmul(input("a", [512, 512]), input("b", [512, 512]), { transpose_b: true }),
  ),
  op(
    "matmul.tn:512-512-512",
    (input) => matmul(input("a", [512, 512]), input("b", [512, 512]), { transpose_a: true }),
  ),
  ...attentions(4, 4, 256, 64),
  op("silu:4m", (input) => silu(input("x", [4, 32, 32, 1024])), copied),
  op("softmax:4096-256", (input) => softmax(input("x", [4096, 256])), copied),
  op(
    "group_norm.silu:n4-64x64-128",
    (input) =>
      silu(groupNorm(input("x", [4, 64, 64, 128]), input("gamma", [128]), input("beta", [128]), { groups: 32 })),
    copied,
  ),
  op(
    "layer_norm:4096-320",
    (input) => layerNorm(input("x", [1, 4096, 320]), input("gamma", [320]), input("beta", [320])),
    copied,
  ),
  { name: "adam:4m", workload: adam, ...copied },
  step("block.resnet:sd1-n1-64x64-320", largeResnet),
  step("block.transformer:sd1-n1-64x64-320", largeTransformer),
  step("unet.forward:tiny-b8", () => unetForward(8)),
  step("detector.forward:tiny-b16", () => detectorForward("tiny/detector", 16)),
  step("detector.forward:faces-b16", () => detectorForward("faces", 16)),
  step("step.unet_controlnet:tiny-b8", () => unetControlnetStep(8)),
  step("step.ddim:tiny", () => ddimStep(8)),
  step("step.hourglass:tiny-b32", () => hourglassStep("tiny/detector", 32)),
  step("step.hourglass:tiny-b32-f16-mixed", () => hourglassStep("tiny/detector", 32, "f16-mixed")),
  step("step.star:small-b32", () => detectorStep(STAR_SIZES.small, 32)),
  ...trainingSteps("step.unet_controlnet:tiny", unetControlnetStep),
  ...trainingSteps("step.hourglass:faces", (batch, precision) => hourglassStep("faces", batch, precision)),
];

/** Floating point operations of products and convolutions: what the arithmetic ceiling is about. */
export function arithmetic({ outputs, updates = [] }: Fetches): number {
  return topological([...Object.values(outputs), ...updates.map(([, value]) => value)])
    .reduce((total, node) => total + (node.op?.bound === "compute" ? node.op.flops?.(node) ?? 0 : 0), 0);
}
