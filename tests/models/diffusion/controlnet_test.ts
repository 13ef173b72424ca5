import assert from "node:assert/strict";
import { controlnet, controlnetConfigFor, copyEncoder } from "../../../models/diffusion/controlnet.ts";
import {
  countParameters,
  createParameters,
  initialise,
  type ParameterSpec,
  Scope,
  specsUnder,
} from "../../../models/io/params.ts";
import { unet, type UNetConfig, unetFormat } from "../../../models/diffusion/unet.ts";
import { Graph, type Value } from "../../../engine/graph.ts";
import { Random } from "../../../engine/rng.ts";
import { Executable } from "../../../engine/executable.ts";
import { gpuTest } from "../../gpu.ts";

function build(config: UNetConfig, size: number, channels: number[]) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const inputs = {
    sample: graph.input("sample", [1, size, size, config.in_channels]),
    timesteps: graph.input("timesteps", [1]),
    context: graph.input("context", [1, 3, config.cross_attention_dim]),
  };
  const side = size * 2 ** (channels.length - 1);
  const residuals = controlnet(
    new Scope(graph, specs, "controlnet/"),
    controlnetConfigFor(config, { conditioning_embedding_out_channels: channels }),
    inputs,
    graph.input("cond", [1, side, side, 3]),
  );
  return { graph, specs, inputs, residuals };
}

Deno.test("controlnet() has the parameters of Stable Diffusion v1's", () => {
  const config = unetFormat.schema.parse({
    block_out_channels: [320, 640, 1280, 1280],
    down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    cross_attention_dim: 768,
  });
  const { specs, residuals } = build(config, 8, [16, 32, 96, 256]);
  assert.equal(countParameters(specs), 361_279_120);
  assert.equal(residuals.down.length, 12);
});

gpuTest("a ControlNet copied from its UNet changes nothing at first", async (device) => {
  const config = unetFormat.schema.parse({
    block_out_channels: [4, 8],
    down_block_types: ["DownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "UpBlock2D"],
    layers_per_block: 1,
    cross_attention_dim: 4,
    attention_head_dim: 1,
    norm_num_groups: 2,
  });
  const { graph, specs, inputs, residuals } = build(config, 4, [4, 4]);
  const scope = new Scope(graph, specs, "unet/");
  const outputs: Record<string, Value> = {
    plain: unet(scope, config, inputs),
    controlled: unet(scope, config, inputs, residuals),
  };
  const host = initialise(specs, 5);
  const base = new Map([...host].filter(([name]) => name.startsWith("unet/")));
  copyEncoder(host, base, specsUnder(specs, "controlnet/"));
  assert.deepEqual(host.get("controlnet/conv_in.weight"), host.get("unet/conv_in.weight"));
  const parameters = createParameters(device, specs, host);
  const exe = new Executable(device, { outputs }, parameters);
  const random = new Random(1, "test");
  exe.run({
    sample: random.fillNormal(new Float32Array(64)),
    timesteps: [300],
    context: random.fillNormal(new Float32Array(12)),
    cond: random.fillUniform(new Float32Array(192)),
  });
  const [plain, controlled] = [await exe.read("plain"), await exe.read("controlled")];
  assert.ok(plain.some((x) => x !== 0));
  assert.deepEqual(controlled, plain);
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
});
