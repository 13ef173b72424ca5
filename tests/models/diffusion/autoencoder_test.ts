import assert from "node:assert/strict";
import {
  autoencoderFormat,
  codebookLoss,
  decodeLatent,
  encodeImage,
  encodeLatent,
  quantise,
} from "../../../models/diffusion/autoencoder.ts";
import { readConfig, writeConfig } from "../../../models/io/config.ts";
import { countParameters, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { gradients } from "../../../ops/autodiff.ts";
import { mul } from "../../../ops/mul.ts";
import { sum } from "../../../ops/sum.ts";
import { Graph } from "../../../engine/graph.ts";
import { Executable } from "../../../engine/executable.ts";
import { Tensor } from "../../../engine/tensor.ts";
import { gpuTest } from "../../gpu.ts";

const config = autoencoderFormat.schema.parse({
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array(4).fill("DownEncoderBlock2D"),
  up_block_types: Array(4).fill("UpDecoderBlock2D"),
  layers_per_block: 2,
});

Deno.test("the autoencoder has the parameters and shapes of Stable Diffusion v1's", () => {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = new Scope(graph, specs, "vae/");
  const { mean, logvar } = encodeImage(scope, config, graph.input("image", [2, 64, 48, 3]));
  assert.deepEqual([mean.shape, logvar.shape], [[2, 8, 6, 4], [2, 8, 6, 4]]);
  assert.deepEqual(decodeLatent(scope, config, mean).shape, [2, 64, 48, 3]);
  assert.equal(countParameters(specs), 83_653_863);
});

Deno.test("encodeImage() says which shape does not fit", () => {
  const graph = new Graph();
  assert.throws(() => encodeImage(new Scope(graph, new Map()), config, graph.input("image", [1, 60, 64, 3])), {
    name: "InputError",
    message: "Cannot encode an image of shape [1, 60, 64, 3]: [N, H, W, 3] with H and W multiples of 8 is expected",
  });
});

const vq = readConfig(
  autoencoderFormat,
  {
    _class_name: "VQModel",
    block_out_channels: [8, 16],
    down_block_types: ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
    up_block_types: ["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
    norm_num_groups: 4,
    latent_channels: 3,
    num_vq_embeddings: 4,
    vq_embed_dim: 2,
  },
  "config.json",
);

Deno.test("a VQModel's configuration is read and written as such, and its latents are as wide as its codes", () => {
  const json = writeConfig(autoencoderFormat, vq);
  assert.equal(json["_class_name"], "VQModel");
  assert.deepEqual(readConfig(autoencoderFormat, json, "config.json"), vq);
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = new Scope(graph, specs);
  const image = graph.input("image", [1, 16, 8, 3]);
  const latent = encodeLatent(scope, vq, image);
  assert.deepEqual(latent.shape, [1, 8, 4, 2]);
  assert.deepEqual(decodeLatent(scope, vq, latent).shape, [1, 16, 8, 3]);
  assert.ok(specs.has("decoder.up_blocks.0.attentions.1.to_out.0.weight"));
  assert.throws(() => encodeImage(scope, vq, image), /an autoencoder with a codebook has none/);
});

gpuTest("quantise() takes the nearest codes, and its gradients go where those of LDM go", async (device) => {
  const graph = new Graph();
  const latent = graph.input("latent", [1, 1, 3, 2]);
  const { code, latent: quantised, ids } = quantise(new Scope(graph, new Map()), vq, latent);
  const table = graph.parameters.get("quantize.embedding.weight")!;
  // What the decoder asks of its input goes to the latents unchanged, and not to the codes.
  const wish = graph.constant([1, 2, 3, 4, 5, 6], [1, 1, 3, 2]);
  const [straight, none] = gradients(sum(mul(quantised, wish)), [latent, table]);
  const [commitment, codebook] = gradients(codebookLoss(latent, code), [latent, table]);
  const outputs = {
    ids,
    code,
    quantised,
    straight: straight!,
    none: none!,
    commitment: commitment!,
    codebook: codebook!,
  };
  const rows = new Tensor(device, [4, 2], Float32Array.of(0, 0, 1, 0, 0, 1, -1, -1));
  const exe = new Executable(device, { outputs }, new Map([["quantize.embedding.weight", rows]]));
  exe.run({ latent: [0.75, 0, 1.5, 0, -0.25, 0.75] });
  const got = async (name: keyof typeof outputs) => [...await exe.read(name)];
  assert.deepEqual(await got("ids"), [1, 1, 2]);
  assert.deepEqual(await got("code"), [1, 0, 1, 0, 0, 1]);
  assert.deepEqual(await got("quantised"), [1, 0, 1, 0, 0, 1]);
  assert.deepEqual(await got("straight"), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(await got("none"), Array(8).fill(0));
  // 2 (latent - code) / 6, and 0.25 times the other way, summed over the latents of a code.
  const near = (a: number[], b: number[]) => a.forEach((v, k) => assert.ok(Math.abs(v - b[k]! / 6) < 1e-6, `${a}`));
  near(await got("commitment"), [-0.5, 0, 1, 0, -0.5, -0.5]);
  near(await got("codebook"), [0, 0, -0.125, 0, 0.125, 0.125, 0, 0]);
  exe.destroy();
  rows.destroy();
});
