import assert from "node:assert/strict";
import { autoencoderFormat } from "../../../models/diffusion/autoencoder.ts";
import { bertFormat } from "../../../models/diffusion/bert_text.ts";
import { openModel } from "../../../models/io/pipeline_folder.ts";
import { readConfig } from "../../../models/io/config.ts";
import { controlnetFormat } from "../../../models/diffusion/controlnet.ts";
import { runCommand } from "../../cli/run_command.ts";
import { convertCheckpoint, type ConvertOptions } from "../../../models/io/convert.ts";
import {
  inferAutoencoder,
  inferBert,
  inferControlNet,
  inferTextEncoder,
  inferUNet,
} from "../../../models/io/infer_config.ts";
import { readDetector } from "../../../models/detectors/detector.ts";
import { loadNetwork, loadNetworkConfig } from "../../../models/io/network_folder.ts";
import {
  autoencoderNames,
  bareTextNames,
  bertNames,
  controlnetNames,
  type Renaming,
  unetNames,
} from "../../../models/io/original_names.ts";
import { initialise, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { fileName, fileShape, toFileLayout } from "../../../models/io/parameter_files.ts";
import { schemaName } from "../../../faces/schema.ts";
import { LATENT_SCHEDULE } from "../../../models/diffusion/schedule.ts";
import { inferStar, STAR_SIZES, starNetwork } from "../../../models/detectors/star_detector.ts";
import { star } from "../../../models/detectors/star.ts";
import { textEncoderFormat } from "../../../models/diffusion/clip_text.ts";
import { trainTokenizer } from "../../../models/diffusion/tokenizer.ts";
import { unetFormat } from "../../../models/diffusion/unet.ts";
import { Graph } from "../../../engine/graph.ts";
import { readSafetensors, type TensorData, writeSafetensors } from "../../../formats/safetensors.ts";
import { bytesOf, dictionary, tensor, torchFile } from "../../formats/torch_file.ts";
import {
  bertConfig,
  controlConfig,
  sameTensors,
  sd,
  specsOf,
  textConfig,
  unetConfig,
  vaeConfig,
  values,
  valuesOf,
  weights,
  writeTorch,
} from "./tiny_checkpoint.ts";

async function withFolder(run: (dir: string) => Promise<void>) {
  const dir = await Deno.makeTempDir();
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("convertCheckpoint() makes a pipeline's folder of a complete checkpoint", () =>
  withFolder(async (dir) => {
    await writeTorch(`${dir}/sd.ckpt`, sd());
    const tokenizer = trainTokenizer(["a portrait"], 8);
    await tokenizer.save(`${dir}/tokenizer`);
    const from = `${dir}/sd.ckpt`;
    const { parts, left_out } = await convertCheckpoint(from, `${dir}/out`, { tokenizer: `${dir}/tokenizer` });
    assert.deepEqual(left_out, []);
    assert.deepEqual(parts.map(({ folder }) => folder), ["unet", "controlnet", "vae", "text_encoder"]);

    const model = await openModel(`${dir}/out`);
    assert.deepEqual([model.unet, model.controlnet, model.vae], [unetConfig, controlConfig, vaeConfig]);
    assert.deepEqual(model.text, { kind: "clip", config: textConfig });
    assert.deepEqual(model.schedule.config, LATENT_SCHEDULE);
    for (const name of ["unet", "controlnet", "vae", "text_encoder"]) {
      sameTensors(await loadNetwork(`${dir}/out/${name}`, specsOf(name)), valuesOf(name));
    }

    // The folder converts again, to half its size.
    await Deno.mkdir(`${dir}/out/safety_checker`);
    const half = await convertCheckpoint(`${dir}/out`, `${dir}/half`, { dtype: "F16" });
    assert.deepEqual([half.parts.length, half.left_out], [4, ["safety_checker"]]);
    assert.deepEqual((await openModel(`${dir}/half`)).unet, unetConfig);
    const sizes = await Promise.all(
      ["out", "half"].map((name) => Deno.stat(`${dir}/${name}/unet/diffusion_pytorch_model.safetensors`)),
    );
    assert.ok(sizes[1]!.size < 0.6 * sizes[0]!.size);
    const path = `${dir}/out/text_encoder/model.safetensors`;
    await writeSafetensors(path, new Map(weights("text_encoder", "", bareTextNames)));
    sameTensors(await loadNetwork(`${dir}/out/text_encoder`, specsOf("text_encoder")), valuesOf("text_encoder"));
    await convertCheckpoint(`${dir}/half/unet`, `${dir}/one`);
    assert.deepEqual(await loadNetworkConfig(`${dir}/one`, unetFormat), unetConfig);
  }));

Deno.test("convertCheckpoint() makes the folder of the text-to-image LDM, and takes the moving average", () =>
  withFolder(async (dir) => {
    const names = unetNames(unetConfig);
    const path = `${dir}/ldm.safetensors`;
    const tensors = new Map([
      ...weights("unet", "model.diffusion_model.", names),
      ...weights("unet", "model_ema.", (name) => `diffusion_model.${names(name)}`.replaceAll(".", ""), 6),
      ...weights("vae", "first_stage_model.", autoencoderNames(vaeConfig)),
      ...weights("bert", "cond_stage_model.", bertNames),
      ["model_ema.decay", values(0.9)] as const,
      ["scale_factor", values(0.5)] as const,
    ]);
    await writeSafetensors(path, tensors);
    const { parts, left_out } = await convertCheckpoint(path, `${dir}/out`, { ema: true });
    assert.deepEqual(left_out, ["model"]);
    assert.deepEqual(parts.map(({ folder }) => folder), ["unet", "vqvae", "bert"]);
    assert.deepEqual(await loadNetworkConfig(`${dir}/out/bert`, bertFormat), bertConfig);
    assert.equal((await loadNetworkConfig(`${dir}/out/vqvae`, autoencoderFormat)).scaling_factor, 0.5);
    sameTensors(await loadNetwork(`${dir}/out/unet`, specsOf("unet")), valuesOf("unet", 6));
    const index = JSON.parse(await Deno.readTextFile(`${dir}/out/model_index.json`));
    assert.equal(index._class_name, "LDMTextToImagePipeline");
  }));

Deno.test("convertCheckpoint() makes a network's own folder, with the options of a file where one is given", () =>
  withFolder(async (dir) => {
    await writeTorch(`${dir}/cn.pth`, new Map(weights("controlnet", "control_model.", controlnetNames(controlConfig))));
    await Deno.writeTextFile(
      `${dir}/cldm.yaml`,
      "model: { params: { control_stage_config: { target: x, params: { num_heads: 4 } } } }",
    );
    await convertCheckpoint(`${dir}/cn.pth`, `${dir}/cn`, { config: `${dir}/cldm.yaml` });
    assert.deepEqual(await loadNetworkConfig(`${dir}/cn`, controlnetFormat), {
      ...controlConfig,
      attention_head_dim: 4,
    });
    sameTensors(await loadNetwork(`${dir}/cn`, specsOf("controlnet")), valuesOf("controlnet"));

    await Deno.writeTextFile(`${dir}/deep.yaml`, "[".repeat(65) + "]".repeat(65));
    await assert.rejects(convertCheckpoint(`${dir}/cn.pth`, `${dir}/deep`, { config: `${dir}/deep.yaml` }), {
      name: "InputError",
      message: `Cannot read ${dir}/deep.yaml as more than 64 lists and maps are nested`,
    });

    // Under diffusers' names nothing tells what it is.
    await writeSafetensors(`${dir}/unet.safetensors`, new Map(weights("unet", "", (name) => name)));
    const unetOut = (options: ConvertOptions) => convertCheckpoint(`${dir}/unet.safetensors`, `${dir}/unet`, options);
    await assert.rejects(
      unetOut({}),
      /Cannot tell the network in .*: its tensors .* are of none that is known, hint: give its config\.json with --config/,
    );
    await Deno.writeTextFile(`${dir}/u.json`, JSON.stringify({ _class_name: unetFormat.name, ...unetConfig }));
    await unetOut({ config: `${dir}/u.json` });
    assert.deepEqual(await loadNetworkConfig(`${dir}/unet`, unetFormat), unetConfig);
  }));

for (const schema of schemaName.options) {
  Deno.test(`convertCheckpoint() takes the network out of a STAR checkpoint of ${schema}, or its moving average`, () =>
    withFolder(async (dir) => {
      const config = { ...starNetwork({ ...STAR_SIZES.star, schema }), nstack: 2, nlevels: 2, in_channel: 8 };
      const specs = new Map<string, ParameterSpec>();
      const graph = new Graph();
      star(new Scope(graph, specs), graph.input("x", [1, 256, 256, 3]), config, false);
      const parts = ["net", "net_ema"].map((part, seed) => {
        const host = initialise(specs, seed);
        const named = [...specs.values()].map((spec) => {
          const data = toFileLayout(spec, host.get(spec.name)!.data);
          return [spec.name, { shape: [...fileShape(spec)], data }] as const;
        });
        return { part, host, file: [...named, ["pre.0.bn.num_batches_tracked", values(3)] as const] };
      });
      const storages: Record<string, Uint8Array> = {};
      const root = parts.map(({ part, file }) => {
        const entries = file.map(([name, { shape, data }]) => {
          storages[part + name] = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
          return [name, tensor({ key: part + name, shape })] as const;
        });
        return [part, dictionary(entries)] as const;
      });
      await Deno.writeFile(`${dir}/star.pkl`, torchFile(dictionary([...root, ["epoch", bytesOf("K", 9)]]), storages));
      for (const { part, host } of parts) {
        const { parts: [written] } = await convertCheckpoint(`${dir}/star.pkl`, `${dir}/${part}`, {
          ema: part === "net_ema",
        });
        assert.deepEqual([written!.network, written!.tensors], ["star", specs.size]);
        const json = JSON.parse(await Deno.readTextFile(`${dir}/${part}/config.json`));
        assert.deepEqual(json, { model_type: "star", size_px: 256, stacks: 2, depth: 2, channels: 8, schema });
        const { tensors } = await readDetector(`${dir}/${part}`);
        sameTensors(new Map([...tensors].map(([name, tensor]) => [fileName(name), tensor])), host);
      }
    }));
}

Deno.test("convertCheckpoint() says what is wrong and leaves nothing behind", () =>
  withFolder(async (dir) => {
    const write = async (change: (tensors: Map<string, TensorData>) => void) => {
      const tensors = sd();
      change(tensors);
      await writeSafetensors(`${dir}/x.safetensors`, tensors);
    };
    const first = "model.diffusion_model.input_blocks.0.0.weight";
    const cases: [RegExp, (tensors: Map<string, TensorData>) => void][] = [
      [/"model\.diffusion_model\.time_embed\.0\.bias" is missing/, (t) =>
        t.delete("model.diffusion_model.time_embed.0.bias")],
      [/"model\.diffusion_model\.label_emb\.0\.0\.weight" is unexpected/, (t) =>
        t.set("model.diffusion_model.label_emb.0.0.weight", values(1))],
      [/Cannot tell the configuration of the UNet in .*: "input_blocks\.0\.0\.weight" is missing/, (t) =>
        t.delete(first)],
      [/"first_stage_model\.quant_conv\.bias" is \[3\], not \[8\]/, (t) =>
        t.set("first_stage_model.quant_conv.bias", values(1, 2, 3))],
      [/Cannot use "model\.diffusion_model\.input_blocks\.0\.0\.weight" of .* as weights: element 7 is NaN/, (t) => {
        t.get(first)!.data[7] = NaN;
      }],
      [/its betas are neither linear/, (t) =>
        t.set("betas", values(0.1, 0.5, 0.2, 0.9))],
      [/its text encoder is OpenCLIP's/, (t) =>
        t.set("cond_stage_model.model.ln_final.weight", values(1))],
    ];
    for (const [message, change] of cases) {
      await write(change);
      await assert.rejects(convertCheckpoint(`${dir}/x.safetensors`, `${dir}/out`), message);
    }
    await write((t) =>
      t.get(first)!.data[0] = 1e6
    );
    const refused: [string[], RegExp][] = [
      [["--dtype", "f16", `${dir}/x.safetensors`, `${dir}/out`], /as F16: element \d+ is 1000000/],
      [[`${dir}/none`, `${dir}/out`], /^Cannot convert: .*none/],
      [[`${dir}/x.safetensors`, dir], /Cannot write to .* as it is not empty/],
      [["--dtype", "int8", "a", "b"], /'int8' is invalid. Allowed choices are f16, f32/],
    ];
    for (const [args, message] of refused) {
      const { code, notes } = await runCommand(["convert", ...args]);
      assert.match(notes, message);
      assert.equal(code, 2);
    }
    assert.deepEqual(
      await Array.fromAsync(Deno.readDir(dir), ({ name }) =>
        name),
      ["x.safetensors"],
    );
  }));

Deno.test("a network saved here goes back into a file of the original and into ours again", () =>
  withFolder(async (dir) => {
    await writeTorch(`${dir}/sd.ckpt`, sd());
    await convertCheckpoint(`${dir}/sd.ckpt`, `${dir}/out`);
    using file = await readSafetensors(`${dir}/out/controlnet/diffusion_pytorch_model.safetensors`);
    const names = controlnetNames(controlConfig);
    const expected = new Map(weights("controlnet", "", names));
    const found = await Promise.all(file.names.map(async (name) => [names(name), await file.read(name)] as const));
    sameTensors(new Map(found), expected);
  }));

const golden = new URL("../../../../shared/golden/", import.meta.url).pathname;
const hasGolden = await Deno.stat(golden).then(() => true, () => false);

interface KeyList {
  readonly config: Record<string, unknown>;
  readonly keys: Readonly<Record<string, readonly number[]>>;
  readonly to_diffusers?: Readonly<Record<string, string>>;
}

const listOf = async (name: string): Promise<KeyList> =>
  JSON.parse(await Deno.readTextFile(`${golden}keys-${name}.json`));

function shapesOf({ keys }: KeyList) {
  return {
    path: "the list",
    names: Object.keys(keys),
    has: (name: string) => name in keys,
    info: (name: string) => ({ shape: keys[name]! }),
    read: () => Promise.reject(new Error("a list has no weights")),
  };
}

Deno.test({
  name: "configurations of the published networks follow from their tensors (needs ../shared)",
  ignore: !hasGolden,
  async fn() {
    const same = async (name: string, found: object, expected: unknown) =>
      assert.deepEqual(found, await expected, name);
    for (const model of ["sd15", "ldm-text2im"]) {
      const config = readConfig(unetFormat, (await listOf(`${model}-unet-diffusers`)).config, model);
      await same(model, {
        ...inferUNet(shapesOf(await listOf(`${model}-unet-compvis`))),
        sample_size: config.sample_size,
      }, config);
    }
    const read = async <T>(name: string, format: Parameters<typeof readConfig<T>>[0]) =>
      readConfig(format, (await listOf(name)).config, name);
    const original = async (name: string) => shapesOf(await listOf(name));
    await same(
      "controlnet",
      inferControlNet(await original("sd15-controlnet-original")),
      read("sd15-controlnet-diffusers", controlnetFormat),
    );
    await same(
      "vae",
      inferAutoencoder(await original("sd15-vae-compvis")),
      read("sd15-vae-diffusers", autoencoderFormat),
    );
    await same(
      "clip",
      inferTextEncoder(await original("sd15-clip-text-hf")),
      read("sd15-clip-text-hf", textEncoderFormat),
    );
    await same(
      "bert",
      inferBert(await original("ldm-text2im-bert-compvis")),
      read("ldm-text2im-bert-diffusers", bertFormat),
    );
    const vq = inferAutoencoder(await original("ldm-vq-f8-compvis"));
    assert.deepEqual([vq.num_vq_embeddings, vq.vq_embed_dim, vq.latent_channels], [16384, 4, 4]);
    const { width, nstack, nlevels, in_channel } = (await listOf("star-300w")).config;
    const size = { size_px: width, stacks: nstack, depth: nlevels, channels: in_channel };
    for (const [set, schema] of [["300w", "ibug68"], ["wflw", "wflw98"], ["cofw", "cofw29"]]) {
      await same(`star of ${set}`, inferStar(await original(`star-${set}`)), { model_type: "star", ...size, schema });
    }
    const { config: { classes_num: _, ...config }, keys } = await listOf("star-wflw");
    const fewer = { ...keys, "out_edgemaps.0.conv.weight": [8, 256, 1, 1] };
    assert.throws(
      () => inferStar(shapesOf({ config, keys: fewer })),
      /it has 98 landmarks and 8 edges, and known are ibug68 with 9 edges, wflw98 with 9 edges, cofw29 with 7 edges/,
    );
    assert.throws(
      () => inferStar(shapesOf(JSON.parse('{"config":{},"keys":{}}'))),
      /"out_heatmaps\.0\.conv\.weight" is missing/,
    );
  },
});

Deno.test({
  name: "names of the originals are those that diffusers' converter tells, both ways (needs ../shared)",
  ignore: !hasGolden,
  async fn() {
    const lists: Record<string, Renaming> = {
      "sd15-unet-compvis": unetNames(inferUNet(shapesOf(await listOf("sd15-unet-compvis")))),
      "ldm-text2im-unet-compvis": unetNames(inferUNet(shapesOf(await listOf("ldm-text2im-unet-compvis")))),
      "sd15-controlnet-original": controlnetNames(
        inferControlNet(shapesOf(await listOf("sd15-controlnet-original"))),
      ),
      "sd15-vae-compvis": autoencoderNames(inferAutoencoder(shapesOf(await listOf("sd15-vae-compvis")))),
    };
    for (const [name, rename] of Object.entries(lists)) {
      const { keys, to_diffusers } = await listOf(name);
      const ours = new Map(Object.values(to_diffusers!).map((diffusers) => [rename(diffusers), diffusers]));
      assert.deepEqual(
        Object.fromEntries([...ours].sort()),
        Object.fromEntries(Object.entries(to_diffusers!).sort()),
        name,
      );
      assert.deepEqual([...ours.keys()].sort(), Object.keys(keys).sort(), name);
    }
  },
});
