/**
 * The engine's speed as shares of what the adapter can do: a pure arithmetic kernel sets the ceiling, in the same run.
 *
 * @module
 */

import { createParameters, initialise, type ParameterSpec, Scope } from "../models/params.ts";
import { Trainer } from "../models/trainer.ts";
import { unet, unetFormat } from "../models/unet.ts";
import { conv2d } from "../ops/conv2d.ts";
import { conv2dBackwardInput } from "../ops/conv2d_backward_input.ts";
import { conv2dBackwardWeight } from "../ops/conv2d_backward_weight.ts";
import { headScores, headValues, matmul } from "../ops/matmul.ts";
import { mse } from "../ops/mse.ts";
import { adamHyper } from "../ops/optimizer.ts";
import { silu } from "../ops/silu.ts";
import { type Device, openDevice } from "../runtime/device.ts";
import { Graph, type Value } from "../runtime/graph.ts";
import { Executable } from "../runtime/run.ts";

/** A row of the table. */
interface Figure {
  /** `conv2d.forward:n4-32x32-64-64`. */
  readonly case: string;
  /** Median of the runs, milliseconds. */
  readonly ms: number;
  /** Lowest and highest, milliseconds. */
  readonly spread: readonly [number, number];
  /** Floating point operations a second, in thousands of millions. */
  readonly gflops: number;
  /** Part of the ceiling of this run. */
  readonly share: number;
}

const RUNS = 7;
/** A wait costs about 12 ms on Deno, whatever the work: a timing spans many runs. */
const LEAST_MS = 150;

async function median(run: () => void, device: Device): Promise<{ ms: number; spread: [number, number] }> {
  const time = async (count: number) => {
    const start = performance.now();
    for (let k = 0; k < count; k++) run();
    await device.gpu.queue.onSubmittedWorkDone();
    return (performance.now() - start) / count;
  };
  await time(1); // shaders are compiled at their first dispatch
  const count = Math.max(1, Math.ceil(LEAST_MS / await time(2)));
  const times: number[] = [];
  for (let k = 0; k < RUNS; k++) times.push(await time(count));
  times.sort((a, b) => a - b);
  return { ms: times[RUNS >> 1]!, spread: [times[0]!, times.at(-1)!] };
}

/** Multiply-adds on registers and nothing else: 16 independent vec4 accumulators. */
async function arithmeticCeiling(device: Device): Promise<number> {
  const { gpu } = device;
  const threads = 8192, loops = 512;
  const names = Array.from({ length: 16 }, (_, k) => `a${k}`);
  const code = `
    @group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      let m = vec4f(f32(id.x) * 1e-9 + 0.999);
      ${names.map((a, k) => `var ${a} = vec4f(${k}.0);`).join(" ")}
      for (var k = 0; k < ${loops}; k++) { ${names.map((a) => `${a} = ${a} * m + m;`).join(" ")} }
      y[id.x] = ${names.join(" + ")};
    }`;
  const buffer = gpu.createBuffer({ size: threads * 16, usage: GPUBufferUsage.STORAGE });
  const pipeline = gpu.createComputePipeline({
    layout: "auto",
    compute: { module: gpu.createShaderModule({ code }), entryPoint: "main" },
  });
  const group = gpu.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const { spread } = await median(() => {
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(threads / 64);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
  }, device);
  buffer.destroy();
  return threads * loops * 16 * 8 / spread[0] / 1e6;
}

/** Times a graph against the ceiling. */
async function figure(
  device: Device,
  ceiling: number,
  name: string,
  build: (graph: Graph) => Value,
): Promise<Figure> {
  const executable = new Executable(device, { outputs: { y: build(new Graph()) } });
  const { ms, spread } = await median(() => executable.run(), device);
  const gflops = executable.plan.flops / ms / 1e6;
  executable.destroy();
  return { case: name, ms, spread, gflops, share: gflops / ceiling };
}

/** Times a training step of a small UNet (forward, backward, Adam, average of the weights) against the ceiling. */
async function trainingStep(device: Device, ceiling: number): Promise<Figure> {
  const config = unetFormat.schema.parse({
    block_out_channels: [48, 96],
    down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"],
    layers_per_block: 1,
    cross_attention_dim: 64,
    attention_head_dim: 4,
    norm_num_groups: 12,
  });
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const sample = graph.input("sample", [16, 16, 16, 4]);
  const [timesteps, context] = [graph.input("timesteps", [16]), graph.input("context", [16, 12, 64])];
  const noise = unet(new Scope(graph, specs, "unet/"), config, { sample, timesteps, context });
  const parameters = createParameters(device, specs, initialise(specs, 0));
  const trainer = new Trainer(device, {
    loss: mse(noise, graph.input("noise", sample.shape)),
    trainable: specs.keys(),
    clip_norm: 1,
    weight_decay: 0,
    ema: 0.999,
  }, parameters);
  const inputs = { "adam.hyper": adamHyper(0, { lr: 1e-4 }) };
  const { ms, spread } = await median(() => trainer.step_plan.run(inputs), device);
  const gflops = trainer.step_plan.plan.flops / ms / 1e6;
  trainer.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  return { case: "unet.train_step:n16-16x16x4-48-96", ms, spread, gflops, share: gflops / ceiling };
}

/** Measures the kernels and prints a table, or one JSON object a line. */
export async function bench(args: readonly string[], print: (line: string) => void): Promise<void> {
  if (args.includes("--full-size")) return await (await import("./full_size.ts")).fullSize(print);
  const json = args.includes("--json");
  const device = await openDevice();
  const ceiling = await arithmeticCeiling(device);
  const columns = (name: string, numbers: readonly (string | number)[]) =>
    name.padEnd(44) + numbers.map((n) => ` ${typeof n === "number" ? n.toFixed(2) : n}`.padStart(10)).join("");
  if (!json) {
    print(`${device.name}, ${device.storage} class; arithmetic ceiling ${ceiling.toFixed(1)} GFLOP/s`);
    print(columns("case", ["ms", "low", "high", "GFLOP/s", "share"]));
  }
  const show = ({ case: name, ms, spread, gflops, share }: Figure) =>
    print(
      json
        ? JSON.stringify({ case: name, ms, gflops, share })
        : columns(name, [ms, ...spread, gflops.toFixed(1), `${(100 * share).toFixed(0)} %`]),
    );
  const time = async (name: string, build: (graph: Graph) => Value) => show(await figure(device, ceiling, name, build));

  for (const [n, s, c] of [[4, 32, 64], [4, 16, 128], [4, 8, 256]] as const) {
    const shape = `n${n}-${s}x${s}-${c}-${c}`;
    const maps = [n, s, s, c], filters = [3, 3, c, c];
    const x = (g: Graph) => g.input("x", maps);
    const f = (g: Graph) => g.input("f", filters);
    const same = { stride: 1, padding: [1, 1, 1, 1] } as const;
    await time(`conv2d.forward:${shape}`, (g) => conv2d(x(g), f(g), { padding: 1 }));
    await time(`conv2d.backward_input:${shape}`, (g) => conv2dBackwardInput(x(g), f(g), maps, same));
    await time(
      `conv2d.backward_weight:${shape}`,
      (g) => conv2dBackwardWeight(x(g), g.input("dy", maps), filters, same),
    );
  }
  await time("matmul:512-512-512", (g) => matmul(g.input("a", [512, 512]), g.input("b", [512, 512])));
  const tokens = (g: Graph, name: string) => g.input(name, [4, 256, 256]);
  await time("attention.scores:b4-h4-t256-d64", (g) => headScores(tokens(g, "q"), tokens(g, "k"), 4));
  await time(
    "attention.values:b4-h4-t256-d64",
    (g) => headValues(g.input("p", [4, 4, 256, 256]), tokens(g, "v"), 4),
  );
  await time("silu:4m", (g) => silu(g.input("x", [4, 32, 32, 1024])));
  show(await trainingStep(device, ceiling));
  device.destroy();
}
