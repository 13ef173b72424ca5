/**
 * This project's side of the exchange with diffusers; see the README of this folder.
 *
 *     deno run --allow-read --allow-write --allow-env tests/interop/ours.ts save DIR     folder and what it computes
 *     deno run --allow-read --allow-env tests/interop/ours.ts check DIR                  theirs gives the same here
 *
 * @module
 */

import { autoencoderFormat, decodeLatent, encodeImage } from "../../models/diffusion/autoencoder.ts";
import { encodePrompt, loadModel, type Model, openModel, saveModelIndex } from "../../models/io/pipeline_folder.ts";
import { controlnet, controlnetConfigFor, controlnetFormat } from "../../models/diffusion/controlnet.ts";
import { saveConfig, saveNetwork } from "../../models/io/network_folder.ts";
import { createParameters, initialise, type ParameterSpec, Scope, specsUnder } from "../../models/io/params.ts";
import { LATENT_SCHEDULE, scheduleFormat } from "../../models/diffusion/schedule.ts";
import { textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { trainTokenizer } from "../../models/diffusion/tokenizer.ts";
import { unet, unetFormat } from "../../models/diffusion/unet.ts";
import { openDevice } from "../../engine/device.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Random } from "../../engine/rng.ts";
import { Executable } from "../../engine/executable.ts";
import { readSafetensors, type TensorData, writeSafetensors } from "../../formats/safetensors.ts";
import { channelsFirst, channelsLast } from "../../cli/golden/layout.ts";

/** Largest difference that passes, as a share of the largest value. */
const TOLERANCE = 1e-4;
const TOKENS = 8;

/** Inputs and outputs are in PyTorch's layout in the file: channels first. */
const PATH = (dir: string) => `${dir}/io.safetensors`;

/** Writes a folder with random weights everywhere, zero convolutions too. */
async function save(dir: string) {
  const tokenizer = trainTokenizer(["a portrait of ink style"], TOKENS);
  const unetConfig = unetFormat.schema.parse({
    sample_size: 8,
    block_out_channels: [32, 64],
    down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
    layers_per_block: 1,
    cross_attention_dim: 32,
    attention_head_dim: 4,
  });
  const controlConfig = controlnetConfigFor(unetConfig, { conditioning_embedding_out_channels: [8, 16] });
  const vaeConfig = autoencoderFormat.schema.parse({
    sample_size: 16,
    block_out_channels: [32, 64],
    down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
    up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
  });
  const text = textEncoderFormat.schema.parse({
    vocab_size: tokenizer.size,
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    max_position_embeddings: TOKENS,
  });
  const model = { unet: unetConfig, controlnet: controlConfig, vae: vaeConfig, text: { kind: "clip", config: text } };
  const { specs } = build(model as Model);
  const tensors = initialise(specs, 1);
  for (const [name, { data }] of tensors) {
    const noise = new Random(2, name).fillNormal(new Float32Array(data.length));
    data.forEach((value, k) => data[k] = value + 0.05 * noise[k]!);
  }
  const own = (name: string) => specsUnder(specs, `${name}/`);
  await saveNetwork(`${dir}/unet`, unetFormat, unetConfig, own("unet"), tensors);
  await saveNetwork(`${dir}/controlnet`, controlnetFormat, controlConfig, own("controlnet"), tensors);
  await saveNetwork(`${dir}/vae`, autoencoderFormat, vaeConfig, own("vae"), tensors);
  await saveNetwork(`${dir}/text_encoder`, textEncoderFormat, text, own("text_encoder"), tensors);
  await saveConfig(`${dir}/scheduler`, scheduleFormat, LATENT_SCHEDULE);
  await tokenizer.save(`${dir}/tokenizer`);
  await saveModelIndex(dir);

  const normal = (name: string, shape: number[]) => {
    const data = new Random(3, name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b)));
    return [`input/${name}`, { shape, data }] as const;
  };
  const inputs = new Map<string, TensorData>([
    normal("sample", [2, 4, 8, 8]),
    normal("cond", [2, 3, 16, 16]),
    normal("image", [1, 3, 16, 16]),
    ["input/timesteps", { shape: [2], data: new Float32Array([1, 501]) }],
    ["input/ids", { shape: [2, TOKENS], data: Float32Array.from({ length: 2 * TOKENS }, (_, k) => k % 7) }],
  ]);
  const outputs = await compute(await openModel(dir), inputs);
  await writeSafetensors(PATH(dir), new Map([...inputs, ...outputs]));
}

/** All networks of a model on inputs of the sizes of {@linkcode save}. */
function build({ unet: unetConfig, controlnet: controlConfig, vae, text }: Model) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = (name: string) => new Scope(graph, specs, `${name}/`);
  const image = graph.input("image", [1, 16, 16, 3]);
  const mean = encodeImage(scope("vae"), vae, image).mean;
  const context = encodePrompt(scope("text_encoder"), text, graph.input("ids", [2, TOKENS]));
  const inputs = { sample: graph.input("sample", [2, 8, 8, 4]), timesteps: graph.input("timesteps", [2]), context };
  const residuals = controlnet(scope("controlnet"), controlConfig!, inputs, graph.input("cond", [2, 16, 16, 3]));
  const outputs: Record<string, Value> = {
    context,
    mean,
    decoded: decodeLatent(scope("vae"), vae, mean),
    eps: unet(scope("unet"), unetConfig, inputs, residuals),
    mid: residuals.mid,
  };
  residuals.down.forEach((value, k) => outputs[`down.${k}`] = value);
  return { specs, outputs };
}

async function compute(model: Model, inputs: ReadonlyMap<string, TensorData>): Promise<Map<string, TensorData>> {
  const device = await openDevice();
  const { specs, outputs } = build(model);
  const exe = new Executable(device, { outputs }, createParameters(device, specs, await loadModel(model, specs)));
  const laid = [...inputs].filter(([name]) => name.startsWith("input/")).map(([name, tensor]) =>
    [name.slice("input/".length), (tensor.shape.length === 4 ? channelsLast(tensor) : tensor).data] as const
  );
  exe.run(Object.fromEntries(laid));
  const found = new Map<string, TensorData>();
  for (const [name, { shape }] of Object.entries(outputs)) {
    const data = await exe.read(name);
    const [N, H, W, C] = shape;
    const tensor = shape.length === 4
      ? { shape: [N!, C!, H!, W!], data: channelsFirst(data, shape) }
      : { shape: [...shape], data };
    found.set(`output/${name}`, tensor);
  }
  return found;
}

/** Compares with what the other side wrote; resolves to the exit code. */
async function check(dir: string): Promise<number> {
  using file = await readSafetensors(PATH(dir));
  const io = new Map<string, TensorData>();
  for (const name of file.names) io.set(name, await file.read(name));
  const found = await compute(await openModel(dir), io);
  let failed = 0;
  for (const [name, { data }] of io) {
    if (!name.startsWith("output/")) continue;
    const got = found.get(name)?.data;
    const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const error = got ? data.reduce((most, value, k) => Math.max(most, Math.abs(value - got[k]!)), 0) / largest : NaN;
    const ok = error <= TOLERANCE;
    if (!ok) failed++;
    Deno.stdout.writeSync(
      new TextEncoder().encode(`${ok ? "ok  " : "FAIL"} ${name.padEnd(16)} ${error.toExponential(1)}\n`),
    );
  }
  return failed ? 1 : 0;
}

const [command, dir] = Deno.args;
if (!dir || (command !== "save" && command !== "check")) throw new TypeError("usage: ours.ts save|check DIR");
if (command === "save") await save(dir);
Deno.exit(command === "save" ? 0 : await check(dir));
