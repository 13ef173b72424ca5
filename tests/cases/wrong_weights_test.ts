import assert from "node:assert/strict";
import { readSafetensors, writeSafetensors } from "../../formats/safetensors.ts";
import { readDetector, saveDetector } from "../../models/detectors/detector.ts";
import { detectorSpecs } from "../../models/detectors/detector.ts";
import { starDetectorConfig } from "../../models/detectors/star_detector.ts";
import { loadNetwork } from "../../models/io/network_folder.ts";
import { autoencoderNames, controlnetNames } from "../../models/io/original_names.ts";
import { initialise } from "../../models/io/params.ts";
import { checkMessages } from "../errors/messages.ts";
import { bytesOf, little } from "../formats/torch_file.ts";
import {
  controlConfig,
  sameTensors,
  specsOf,
  vaeConfig,
  values,
  valuesOf,
  weights,
  writeTorch,
} from "../models/io/tiny_checkpoint.ts";
import { copyFolder, inFolder, makeLinks, run } from "./_lib.ts";

const TINY = new URL("../../models/tiny", import.meta.url).pathname;

/** A message of a command that must fail with exit code 2. */
async function refusal(args: readonly string[], dir: string): Promise<string> {
  const { code, all } = await run(args, dir);
  assert.equal(code, 2, all);
  return all;
}

/** Runs one stage that loads the folder `given` of `dir`; its error without what the run adds, or the log. */
async function load(dir: string, uses: "model/load" | "detector/load"): Promise<string> {
  await Deno.writeTextFile(`${dir}/load.yaml`, JSON.stringify({ stages: { m: { uses, with: { path: "given" } } } }));
  await Deno.remove(`${dir}/runs`, { recursive: true }).catch(() => {});
  const { code, all } = await run(["run", "load.yaml"], dir);
  return `exit ${code}: ${code ? all.slice(all.indexOf("Cannot ")).replace(/\n *trace: .*/s, "") : "done"}`;
}

Deno.test("tensors that are no weights, and averages that are not there, are refused by name", () =>
  inFolder(async (dir) => {
    const messages: Record<string, string> = {};
    const control = weights("controlnet", "control_model.", controlnetNames(controlConfig));
    const vae = weights("vae", "", autoencoderNames(vaeConfig));
    const files: Record<string, readonly (readonly [string, ReturnType<typeof values>])[]> = {
      "a difference ControlNet": [...control, ["difference", values(1)]],
      "a difference below a key": [...control, ["state_dict.difference", values(1)]],
      "a low-rank ControlNet": [...control, ["lora_controlnet", values(1)]],
      "a LoRA of kohya": [["lora_unet_down_blocks_0.lora_down.weight", values(1)]],
      "a LoRA of peft": [["base_model.model.to_q.lora_A.weight", values(1)]],
      "an embedding": [["emb_params", values(1)]],
    };
    for (const [key, tensors] of Object.entries(files)) {
      await writeSafetensors(`${dir}/x.safetensors`, new Map(tensors));
      messages[key] = await refusal(["convert", "x.safetensors", "out"], dir);
    }
    const averages: Record<string, typeof control> = {
      "--ema of a ControlNet without one": control,
      "--ema of another network": [...control, ["model_ema.diffusion_modelout2weight", values(1)]],
      "--ema of an autoencoder without one": vae,
    };
    for (const [key, tensors] of Object.entries(averages)) {
      await writeTorch(`${dir}/x.ckpt`, new Map(tensors));
      messages[key] = await refusal(["convert", "x.ckpt", "out", "--ema"], dir);
    }
    checkMessages("wrong_weights", messages, dir);

    // That of an autoencoder, which its own training keeps, is of all its names.
    const flat = autoencoderNames(vaeConfig);
    const own = weights("vae", "", (name) => `model_ema.${flat(name).replaceAll(".", "")}`, 6);
    const rest = [["model_ema.decay", values(1)], ["model_ema.lossdiscriminatormain0weight", values(1)]] as const;
    await writeTorch(`${dir}/vae.ckpt`, new Map([...vae, ...own, ...rest]));
    const { code, all } = await run(["convert", "vae.ckpt", "out", "--ema"], dir);
    assert.equal(code, 0, all);
    sameTensors(await loadNetwork(`${dir}/out`, specsOf("vae")), valuesOf("vae", 6));
  }));

const text = (value: string) => new TextEncoder().encode(value);

/** Files that people have under the name of a checkpoint. */
const FOREIGN: Readonly<Record<string, Uint8Array>> = {
  "a web page": text("<html>Sign in to download</html>"),
  "a web page with a byte order mark": text("\uFEFF\n<!DOCTYPE HTML><title>Access to this model is restricted"),
  "a git-lfs pointer": text(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 4265380512\n`,
  ),
  "metadata without tensors": bytesOf(little(40, 8), '{"__metadata__":{"key":"value"}}'.padEnd(40)),
  "an empty file": new Uint8Array(),
  "an answer in XML": text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
  "an answer in JSON": text('{"error": "Repository not found"}'),
  "packed by gzip": bytesOf(0x1f, 0x8b, 8, 0, new Uint8Array(100)),
  "a download that has not begun": new Uint8Array(4096),
  "weights of Keras": bytesOf(0x89, "HDF\r\n", new Uint8Array(100)),
};

Deno.test("what is no checkpoint is called by its name, in a file and in a folder", () =>
  inFolder(async (dir) => {
    const messages: Record<string, string> = {};
    await copyFolder(`${TINY}/detector`, `${dir}/given`);
    for (const [key, bytes] of Object.entries(FOREIGN)) {
      for (const file of ["x.ckpt", "x.safetensors"]) {
        await Deno.writeFile(`${dir}/${file}`, bytes);
        messages[key] = (await refusal(["convert", file, "out"], dir)).replaceAll(file, "x.ckpt");
      }
      await Deno.writeFile(`${dir}/given/model.safetensors`, bytes);
      const loaded = await load(dir, "detector/load");
      assert.match(loaded, /exit 1: Cannot finish stage "m" \(detector\/load\): Cannot read given\/model\.safetensors/);
    }
    await copyFolder(TINY, `${dir}/model`);
    await Deno.writeFile(`${dir}/model/unet/config.json`, FOREIGN["a web page"]!);
    messages["a web page as a configuration"] = await refusal(["convert", "model", "out"], dir);
    checkMessages("not_a_checkpoint", messages, dir);
  }));

Deno.test("model/load takes a model of links, as Hugging Face's cache keeps it", () =>
  inFolder(async (dir) => {
    await copyFolder(TINY, `${dir}/blobs`);
    await Deno.mkdir(`${dir}/given`);
    const links: [string, string][] = [];
    // Files that are links, and folders that are.
    for await (const { name, isDirectory } of Deno.readDir(`${dir}/blobs`)) {
      if (!isDirectory || name === "vae") {
        links.push([`../blobs/${name}`, `${dir}/given/${name}`]);
        continue;
      }
      await Deno.mkdir(`${dir}/given/${name}`);
      for await (const file of Deno.readDir(`${dir}/blobs/${name}`)) {
        links.push([`../../blobs/${name}/${file.name}`, `${dir}/given/${name}/${file.name}`]);
      }
    }
    await makeLinks(links);
    assert.equal(await load(dir, "model/load"), "exit 0: done");
    for (const part of ["unet", "vae", "text_encoder", "tokenizer", "scheduler", "controlnet"]) {
      const files = Array.from(Deno.readDirSync(`${dir}/blobs/${part}`), ({ name }) => name);
      for (const file of files) {
        const path = `${part}/${file}`;
        assert.deepEqual(
          await Deno.readFile(`${dir}/runs/load/m/${path}`),
          await Deno.readFile(`${dir}/blobs/${path}`),
        );
      }
    }
    const { code, all } = await run(["convert", "given", "out"], dir);
    assert.equal(code, 0, all);

    // The folder of all versions in place of one.
    await Deno.mkdir(`${dir}/cache/snapshots`, { recursive: true });
    await Deno.mkdir(`${dir}/cache/blobs`);
    await Deno.rename(`${dir}/given`, `${dir}/cache/snapshots/0123`);
    await makeLinks([["cache", `${dir}/given`]]);
    const hint = /it is the cache of Hugging Face for all its versions, hint: name given\/snapshots\/0123\n?/;
    assert.match(await load(dir, "model/load"), hint);
    assert.match(await refusal(["convert", "given", "other"], dir), hint);
    await Deno.remove(`${dir}/given`);
    await Deno.rename(`${dir}/cache/snapshots/0123`, `${dir}/given`);

    // A cache from which a blob is gone.
    await Deno.remove(`${dir}/blobs/unet/diffusion_pytorch_model.safetensors`);
    assert.match(
      await load(dir, "model/load"),
      /exit 1: .*\n +Cannot read given\/unet\/.*: it is a link to \.\.\/.*, which is missing, hint: /,
    );
  }));

Deno.test("model/load and detector/load find what is wrong with the weights at once, and name the file given", () =>
  inFolder(async (dir) => {
    const messages: Record<string, string> = {};
    const path = "given/unet/diffusion_pytorch_model.safetensors";
    const fresh = async () => {
      await Deno.remove(`${dir}/given`, { recursive: true }).catch(() => {});
      await copyFolder(TINY, `${dir}/given`);
    };
    await fresh();
    const bytes = await Deno.readFile(`${dir}/${path}`);
    await Deno.writeFile(`${dir}/${path}`, bytes.subarray(0, -999));
    messages["a file that is cut off"] = await load(dir, "model/load");
    await Deno.writeFile(`${dir}/${path}`, bytes.subarray(0, 100));
    messages["a file that is cut off in its header"] = await load(dir, "model/load");
    await Deno.writeFile(`${dir}/${path}`, FOREIGN["a git-lfs pointer"]!);
    messages["a git-lfs pointer"] = await load(dir, "model/load");

    await Deno.writeFile(`${dir}/${path}`, bytes);
    const shards = [
      "diffusion_pytorch_model-00001-of-00002.safetensors",
      "diffusion_pytorch_model-00002-of-00002.safetensors",
    ];
    {
      using file = await readSafetensors(`${dir}/${path}`);
      const tensors = await Promise.all(file.names.map(async (name) => [name, await file.read(name)] as const));
      const half = tensors.length >> 1;
      await writeSafetensors(`${dir}/given/unet/${shards[0]}`, new Map(tensors.slice(0, half)));
      await Deno.writeTextFile(
        `${dir}/given/unet/diffusion_pytorch_model.safetensors.index.json`,
        JSON.stringify({
          weight_map: Object.fromEntries(tensors.map(([name], k) => [name, shards[k < half ? 0 : 1]])),
        }),
      );
    }
    await Deno.remove(`${dir}/${path}`);
    messages["a shard that is missing"] = await load(dir, "model/load");

    await fresh();
    const change = async (part: string, to: (tensors: Map<string, ReturnType<typeof values>>) => void) => {
      const file = `${dir}/given/${part}`;
      const tensors = new Map<string, ReturnType<typeof values>>();
      {
        using source = await readSafetensors(file);
        for (const name of source.names) tensors.set(name, await source.read(name));
      }
      to(tensors);
      await writeSafetensors(file, tensors);
    };
    // Several at once: all are named.
    await change("unet/diffusion_pytorch_model.safetensors", (t) => t.get("conv_in.bias")!.data[1] = NaN);
    await change("vae/diffusion_pytorch_model.safetensors", (t) => t.delete("quant_conv.weight"));
    await change("controlnet/diffusion_pytorch_model.safetensors", (t) => t.set("conv_in.bias", values(1, 2, 3)));
    messages["weights that are no numbers, missing and of another shape"] = await load(dir, "model/load");

    await Deno.remove(`${dir}/given`, { recursive: true });
    await copyFolder(`${TINY}/detector`, `${dir}/given`);
    const detector = await Deno.readFile(`${dir}/given/model.safetensors`);
    await Deno.writeFile(`${dir}/given/model.safetensors`, detector.subarray(0, -9));
    messages["a detector that is cut off"] = await load(dir, "detector/load");
    await Deno.remove(`${dir}/given/model.safetensors`);
    messages["a detector without weights"] = await load(dir, "detector/load");
    checkMessages("wrong_when_loaded", messages, dir);
  }));

Deno.test("an exported STAR detector comes back with the size of its images", () =>
  inFolder(async (dir) => {
    const config = starDetectorConfig.parse({ size_px: 64, stacks: 1, depth: 3, channels: 8 });
    const tensors = initialise(detectorSpecs(config), 1);
    await saveDetector(`${dir}/d`, config, tensors);
    const exported = await run(["export", "--detector", "d", "--format", "star", "--out", "star"], dir);
    assert.equal(exported.code, 0, exported.all);
    const { code, all } = await run(["convert", "star/model/train.pkl", "back"], dir);
    assert.equal(code, 0, all);
    assert.match(
      all,
      /^back: star, \d+ tensors, \d+ parameters; images of 64 pixels\nweights below "net\."\nleft out: net_ema$/m,
    );
    assert.deepEqual((await readDetector(`${dir}/back`)).config, config);
    // Where the file does not say, a configuration does.
    await writeTorch(`${dir}/none.pkl`, new Map(await tensorsOf(`${dir}/d/model.safetensors`)), { keys: ["net"] });
    const asked = await run(["convert", "none.pkl", "asked", "--config", "d/config.json"], dir);
    assert.match(asked.all, /; images of 64 pixels\n/);
    const assumed = await run(["convert", "none.pkl", "assumed"], dir);
    assert.match(assumed.all, /images of 256 pixels, as in all published ones: the file does not say, hint: --config/);
  }));

/** All tensors of a file. */
async function tensorsOf(path: string) {
  using file = await readSafetensors(path);
  return await Promise.all(file.names.map(async (name) => [name, await file.read(name)] as const));
}
