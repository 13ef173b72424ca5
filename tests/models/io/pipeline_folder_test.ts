import assert from "node:assert/strict";
import { autoencoderFormat, decodeLatent, encodeImage } from "../../../models/diffusion/autoencoder.ts";
import { encodePrompt, loadModel, openModel, saveModelIndex } from "../../../models/io/pipeline_folder.ts";
import { controlnet, controlnetConfigFor, controlnetFormat } from "../../../models/diffusion/controlnet.ts";
import { saveConfig, saveNetwork } from "../../../models/io/network_folder.ts";
import { oldAutoencoderNames } from "../../../models/io/original_names.ts";
import { initialise, type ParameterSpec, Scope, specsUnder } from "../../../models/io/params.ts";
import { LATENT_SCHEDULE, scheduleFormat } from "../../../models/diffusion/schedule.ts";
import { textEncoderFormat } from "../../../models/diffusion/clip_text.ts";
import { trainTokenizer } from "../../../models/diffusion/tokenizer.ts";
import { unet, unetFormat } from "../../../models/diffusion/unet.ts";
import { Graph } from "../../../engine/graph.ts";
import { readSafetensors, writeSafetensors } from "../../../formats/safetensors.ts";

const tokenizer = trainTokenizer(["a portrait of ink style"], 8);
const configs = {
  vae: autoencoderFormat.schema.parse({
    block_out_channels: [4, 4],
    down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
    up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
    norm_num_groups: 2,
  }),
  text: textEncoderFormat.schema.parse({
    vocab_size: tokenizer.size,
    hidden_size: 8,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 8,
  }),
  unet: unetFormat.schema.parse({
    block_out_channels: [4, 8],
    down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"],
    layers_per_block: 1,
    cross_attention_dim: 8,
    attention_head_dim: 1,
    norm_num_groups: 2,
  }),
};
const controlConfig = controlnetConfigFor(configs.unet, { conditioning_embedding_out_channels: [4, 4] });

/** Declares the parameters of all networks. */
function declare(): Map<string, ParameterSpec> {
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const scope = (name: string) => new Scope(graph, specs, `${name}/`);
  const image = graph.input("image", [1, 8, 8, 3]);
  const sample = encodeImage(scope("vae"), configs.vae, image).mean;
  decodeLatent(scope("vae"), configs.vae, sample);
  const context = encodePrompt(
    scope("text_encoder"),
    { kind: "clip", config: configs.text },
    graph.input("ids", [1, 8]),
  );
  const inputs = { sample, timesteps: graph.input("t", [1]), context };
  unet(scope("unet"), configs.unet, inputs, controlnet(scope("controlnet"), controlConfig, inputs, image));
  return specs;
}

async function withModel(run: (dir: string, specs: Map<string, ParameterSpec>) => Promise<void>) {
  const dir = await Deno.makeTempDir();
  try {
    const specs = declare();
    const tensors = initialise(specs, 3);
    const own = (name: string) => specsUnder(specs, `${name}/`);
    await saveNetwork(`${dir}/vae`, autoencoderFormat, configs.vae, own("vae"), tensors);
    await saveNetwork(`${dir}/text_encoder`, textEncoderFormat, configs.text, own("text_encoder"), tensors);
    await saveNetwork(`${dir}/unet`, unetFormat, configs.unet, own("unet"), tensors);
    await saveNetwork(`${dir}/controlnet`, controlnetFormat, controlConfig, own("controlnet"), tensors);
    await saveConfig(`${dir}/scheduler`, scheduleFormat, LATENT_SCHEDULE);
    await Deno.mkdir(`${dir}/tokenizer`);
    await tokenizer.save(`${dir}/tokenizer`);
    await saveModelIndex(dir);
    await run(dir, specs);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("openModel() and loadModel() give back what was saved, also under old names", () =>
  withModel(async (dir, specs) => {
    const model = await openModel(dir);
    assert.deepEqual([model.vae, model.unet, model.controlnet], [configs.vae, configs.unet, controlConfig]);
    assert.deepEqual(model.text, { kind: "clip", config: configs.text });
    assert.deepEqual(model.schedule.config, LATENT_SCHEDULE);
    assert.deepEqual(await loadModel(model, specs), initialise(specs, 3));
    const index = JSON.parse(await Deno.readTextFile(`${dir}/model_index.json`));
    assert.equal(index._class_name, "StableDiffusionControlNetPipeline");
    assert.deepEqual(index.unet, ["diffusers", "UNet2DConditionModel"]);

    const path = `${dir}/vae/diffusion_pytorch_model.safetensors`;
    const renamed = new Map();
    {
      using file = await readSafetensors(path);
      for (const name of file.names) renamed.set(oldAutoencoderNames(name), await file.read(name));
    }
    assert.ok(renamed.has("decoder.mid_block.attentions.0.proj_attn.weight"));
    await writeSafetensors(path, renamed);
    assert.deepEqual(await loadModel(model, specs), initialise(specs, 3));
  }));

Deno.test("openModel() names all parts that are missing or do not fit", () =>
  withModel(async (dir) => {
    await assert.rejects(openModel(`${dir}/unet/config.json`), /it is a file, hint: deno task convert /);
    await Deno.remove(`${dir}/scheduler`, { recursive: true });
    await saveConfig(`${dir}/unet`, unetFormat, { ...configs.unet, in_channels: 8, cross_attention_dim: 16 });
    await assert.rejects(openModel(dir), {
      name: "InputError",
      message: [
        `Cannot open ${dir} as a latent diffusion model:`,
        "scheduler/ is missing",
        "in_channels of unet is 8 and latent_channels of vae is 4: they must agree",
        "cross_attention_dim of unet is 16 and hidden_size of text_encoder is 8: they must agree",
        "cross_attention_dim of unet is 16 and cross_attention_dim of controlnet is 8: they must agree",
        "in_channels of unet is 8 and in_channels of controlnet is 4: they must agree",
      ].join("\n  "),
    });
  }));
