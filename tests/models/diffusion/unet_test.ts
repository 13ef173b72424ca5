import assert from "node:assert/strict";
import { readConfig, writeConfig } from "../../../models/io/config.ts";
import { countParameters, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { unet, type UNetConfig, unetFormat } from "../../../models/diffusion/unet.ts";
import { Graph } from "../../../engine/graph.ts";

const small = {
  block_out_channels: [8, 16],
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  layers_per_block: 1,
  cross_attention_dim: 12,
  attention_head_dim: 2,
  norm_num_groups: 4,
};

function build(config: UNetConfig, shape: number[], tokens: number[]): { count: number; shape: readonly number[] } {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const output = unet(new Scope(graph, specs, "unet/"), config, {
    sample: graph.input("sample", shape),
    timesteps: graph.input("timesteps", [shape[0]!]),
    context: graph.input("context", tokens),
  });
  return { count: countParameters(specs), shape: output.shape };
}

Deno.test("unet() has the parameters of Stable Diffusion v1 and of the text-to-image LDM", () => {
  const config = readConfig(unetFormat, {
    block_out_channels: [320, 640, 1280, 1280],
    down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    cross_attention_dim: 768,
  }, "sd");
  assert.deepEqual(build(config, [1, 64, 64, 4], [1, 77, 768]), { count: 859_520_964, shape: [1, 64, 64, 4] });
  const ldm = { ...config, cross_attention_dim: 1280 };
  assert.equal(build(ldm, [1, 32, 32, 4], [1, 77, 1280]).count, 872_300_484);
});

Deno.test("unet() says which shape does not fit", () => {
  const config = readConfig(unetFormat, small, "small");
  assert.throws(() => build(config, [1, 9, 8, 4], [1, 5, 12]), {
    name: "InputError",
    message: "Cannot apply the UNet to a sample of shape [1, 9, 8, 4]: " +
      "[N, H, W, 4] with H and W multiples of 2 is expected",
  });
  assert.throws(() => build(config, [1, 8, 8, 4], [1, 5, 16]), { message: /a context of shape \[1, 5, 16\]/ });
  assert.throws(() => build({ ...config, layers_per_block: [1] }, [1, 8, 8, 4], [1, 5, 12]), {
    message: "Cannot build the UNet: layers_per_block has 1 entries, block_out_channels 2",
  });
});

Deno.test("a configuration survives writing and reading, and what is not built is named", () => {
  const config = readConfig(unetFormat, {
    ...small,
    _name_or_path: "x",
    addition_embed_type: null,
    addition_embed_type_num_heads: 64,
    dropout: 0,
  }, "config.json");
  const written = JSON.parse(JSON.stringify(writeConfig(unetFormat, config)));
  assert.equal(written._class_name, "UNet2DConditionModel");
  assert.deepEqual(readConfig(unetFormat, written, "config.json"), config);
  assert.throws(
    () => readConfig(unetFormat, { ...small, act_fn: "gelu", layers_per_block: 0, foo: 3 }, "config.json"),
    {
      message:
        /^Cannot read config.json as the configuration of UNet2DConditionModel:\n {2}"act_fn" is "gelu": only "silu"/,
    },
  );
});
