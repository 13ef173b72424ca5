/**
 * One prediction of Stable Diffusion v1 and its ControlNet at their real shapes, from random weights.
 *
 * @module
 */

import { controlnet, controlnetConfigFor } from "../models/diffusion/controlnet.ts";
import { loadNetworkConfig } from "../models/io/network_folder.ts";
import { countParameters, type ParameterSpec, Scope } from "../models/io/params.ts";
import { unet, unetFormat } from "../models/diffusion/unet.ts";
import type { Device } from "../engine/device.ts";
import { elements, Graph, type Value } from "../engine/graph.ts";
import { Random } from "../engine/rng.ts";
import { Executable } from "../engine/executable.ts";
import { Tensor } from "../engine/tensor.ts";

const CONFIG = new URL("../models/published/stable_diffusion_v1/unet", import.meta.url).pathname;
/** Side of the latents of an image of 512 pixels. */
const SIDE = 64;
const TOKENS = 77;

/** Numbers from which all weights are taken: a thousand million random ones take longer than the prediction. */
const DRAWN = 1 << 20;

/**
 * Weights of the size that new ones have, in f16, one tensor after the other. Constants other than the ones of
 * normalisations, which are zeros, are random too, so that the ControlNet adds something.
 */
function randomParameters(device: Device, specs: ReadonlyMap<string, ParameterSpec>): Map<string, Tensor> {
  const drawn = new Random(0, "bench/full_size").fillNormal(new Float32Array(DRAWN));
  let at = 0;
  return new Map([...specs.values()].map(({ name, shape, init }) => {
    const data = new Float32Array(elements(shape));
    const std = init.kind === "uniform" ? init.bound / Math.sqrt(3) : init.kind === "normal" ? init.std : 0.01;
    const mean = init.kind === "constant" ? init.value : 0;
    for (let k = 0; k < data.length; k++) data[k] = mean + drawn[at++ & (DRAWN - 1)]! * std;
    const tensor = new Tensor(device, shape, data, "f16");
    // Writes wait in memory until something is submitted.
    device.gpu.queue.submit([]);
    return [name, tensor];
  }));
}

/**
 * Makes the prediction twice, as the first compiles the shaders, and prints times and memory.
 *
 * @throws {Error} If it is not finite.
 */
export async function fullSize(device: Device, print: (line: string) => void): Promise<void> {
  const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
  const GB = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  print(`${device.name}, ${device.storage} class`);

  const config = await loadNetworkConfig(CONFIG, unetFormat);
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const inputs = {
    sample: graph.input("sample", [1, SIDE, SIDE, config.in_channels]),
    timesteps: graph.input("timesteps", [1]),
    context: graph.input("context", [1, TOKENS, config.cross_attention_dim]),
  };
  const drawing = graph.input("drawing", [1, 8 * SIDE, 8 * SIDE, 3]);
  const residuals = controlnet(new Scope(graph, specs, "controlnet/"), controlnetConfigFor(config), inputs, drawing);
  const noise = unet(new Scope(graph, specs, "unet/"), config, inputs, residuals);

  let start = performance.now();
  const parameters = randomParameters(device, specs);
  print(`${countParameters(specs).toLocaleString("en-US")} parameters on the device after ${seconds(start)}`);
  start = performance.now();
  const prediction = new Executable(device, { outputs: { noise } }, parameters);
  const { flops, bytes, dispatches } = prediction.plan;
  print(
    `planned in ${seconds(start)}: ${dispatches.length} dispatches, ${(flops / 1e12).toFixed(2)} TFLOP, ` +
      `${GB(bytes.parameters)} of weights if they were f32, ${GB(bytes.pool)} in addition`,
  );
  const random = new Random(0, "bench/full_size.inputs");
  const floats = ({ shape }: Value) => random.fillNormal(new Float32Array(elements(shape)));
  const data = {
    sample: floats(inputs.sample),
    timesteps: [500],
    context: floats(inputs.context),
    drawing: floats(drawing),
  };
  for (const which of ["first, with shaders compiled", "second"]) {
    start = performance.now();
    prediction.run(data);
    const values = await prediction.read("noise");
    const elapsed = performance.now() - start;
    if (!values.every(Number.isFinite)) throw new Error("The prediction is not finite");
    const rms = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
    const speed = `${(flops / elapsed / 1e6).toFixed(1)} GFLOP/s`;
    print(`prediction (${which}): ${(elapsed / 1000).toFixed(1)} s, ${speed}, root mean square ${rms.toFixed(3)}`);
  }
  print(`memory: ${GB(device.memory.peak)} of the device, ${GB(Deno.memoryUsage().rss)} of the process`);
}
