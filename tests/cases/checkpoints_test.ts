import assert from "node:assert/strict";
import { runCommand } from "../cli/run_command.ts";
import { checkMessages } from "../errors/messages.ts";
import { bytesOf, dictionary, little, name, sizes, tensor, text, torchFile } from "../formats/torch_file.ts";
import {
  sameTensors,
  sd,
  specsOf,
  type TorchOptions,
  unetConfig,
  vaeConfig,
  values,
  valuesOf,
  weights,
  writeTorch,
} from "../models/io/tiny_checkpoint.ts";
import { writeSafetensors } from "../../formats/safetensors.ts";
import { autoencoderFormat } from "../../models/diffusion/autoencoder.ts";
import { LATENT_SCHEDULE, scheduleFormat } from "../../models/diffusion/schedule.ts";
import { unetFormat } from "../../models/diffusion/unet.ts";
import { readDetector } from "../../models/detectors/detector.ts";
import { loadNetwork, loadNetworkConfig } from "../../models/io/network_folder.ts";
import { autoencoderNames, unetNames } from "../../models/io/original_names.ts";
import { starDetectorConfig, starNetwork } from "../../models/detectors/star_detector.ts";
import { detectorSpecs } from "../../models/detectors/detector.ts";
import { starState } from "../../models/io/star_checkpoint.ts";
import { type TorchValue, writeTorchArchive } from "../../formats/torch_writer.ts";
import { initialise } from "../../models/io/params.ts";
import { copyFolder, inFolder } from "./_lib.ts";

/** Weights of an autoencoder under CompVis' names. */
const vae = (prefix = "") => new Map(weights("vae", prefix, autoencoderNames(vaeConfig)));

/** Converts a file and compares the autoencoder that comes out. */
async function convertsVae(dir: string, file: string, options: string[] = []): Promise<string[]> {
  const out = `${dir}/${crypto.randomUUID()}`;
  const { code, lines, notes } = await runCommand(["convert", file, out, ...options]);
  assert.equal(code, 0, `${file}: ${notes}`);
  sameTensors(await loadNetwork(out, specsOf("vae")), valuesOf("vae"));
  return lines;
}

Deno.test("weights all of f16 or bf16 have the schedule and the factor that they were rounded from", () =>
  inFolder(async (dir) => {
    const small = [...sd()].filter(([key]) => !/^(model|control_model)\./.test(key));
    const tensors = new Map(small).set("scale_factor", { shape: [], data: Float32Array.of(0.18215) });
    const rounded = new Map([...tensors].map(([key, { shape, data }]) => [key, {
      shape,
      data: data.map((value) => Math.f16round(value)),
    }]));
    await writeTorch(`${dir}/f16.ckpt`, tensors, { type: "f16" });
    await writeTorch(`${dir}/bf16.ckpt`, tensors, { type: "bf16" });
    // Widened again, as tools that merge checkpoints do.
    await writeSafetensors(`${dir}/widened.safetensors`, rounded);
    await Deno.writeTextFile(`${dir}/v1.yaml`, "model: { params: { linear_start: 0.00085, linear_end: 0.0120 } }");
    for (
      const [file, ...options] of [["f16.ckpt"], ["bf16.ckpt"], ["widened.safetensors"], [
        "bf16.ckpt",
        "--config",
        `${dir}/v1.yaml`,
      ]] as const
    ) {
      const out = `${dir}/out-${file}-${options.length}`;
      const { code, notes } = await runCommand(["convert", `${dir}/${file}`, out, ...options]);
      assert.equal(code, 0, `${file}: ${notes}`);
      assert.deepEqual(await loadNetworkConfig(`${out}/scheduler`, scheduleFormat), LATENT_SCHEDULE, file);
      assert.equal((await loadNetworkConfig(`${out}/vae`, autoencoderFormat)).scaling_factor, 0.18215, file);
    }
    // Rounded betas of another schedule, LDM's for faces, keep their own ends.
    const ends = Float32Array.from(
      { length: 1000 },
      (_, k) => (Math.sqrt(0.0015) + (Math.sqrt(0.0195) - Math.sqrt(0.0015)) * k / 999) ** 2,
    );
    await writeTorch(`${dir}/ldm.ckpt`, tensors.set("betas", { shape: [1000], data: ends }), { type: "bf16" });
    assert.equal((await runCommand(["convert", `${dir}/ldm.ckpt`, `${dir}/ldm`])).code, 0);
    const { beta_start, beta_end, beta_schedule } = await loadNetworkConfig(`${dir}/ldm/scheduler`, scheduleFormat);
    assert.deepEqual([beta_start, beta_end, beta_schedule], [0.0015, 0.0195, "scaled_linear"]);
  }));

/** Keys that the weights lie below, and the words that wrappers put into the names. */
const WRAPPED: readonly (readonly [keys: readonly string[], prefix?: string, below?: string])[] = [
  [["state_dict", "state_dict"]],
  [["model"]],
  [["module"], "", ""],
  [["net"]],
  [["ema"]],
  [["model_state_dict", "model"]],
  [[], "module.", ""],
  [[], "_orig_mod.", ""],
  [["state_dict"], "model._orig_mod.module.", "state_dict.model."],
  [["state_dict"], "first_stage_model.module.", "state_dict."],
  [["checkpoint", "generator", "weights"], "vae."],
];

Deno.test("weights are found below any keys and without the words of wrappers", () =>
  inFolder(async (dir) => {
    for (const [k, [keys, prefix = "", below]] of WRAPPED.entries()) {
      await writeTorch(`${dir}/${k}.ckpt`, vae(prefix), { keys });
      const lines = await convertsVae(dir, `${dir}/${k}.ckpt`);
      const expected = below ?? keys.map((key) => `${key}.`).join("") + prefix;
      assert.equal(lines[1] ?? "", expected && `weights below "${expected}"`, keys.join());
    }
    // The same for a file under diffusers' names, whose configuration is given, and for a network's folder.
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ _class_name: "AutoencoderKL", ...vaeConfig }));
    for (const prefix of ["_orig_mod.", "model.module."]) {
      const path = `${dir}/diffusion_pytorch_model.safetensors`;
      await writeSafetensors(path, new Map(weights("vae", prefix, (name) => name)));
      await convertsVae(dir, path);
    }
    await writeSafetensors(
      `${dir}/diffusion_pytorch_model.safetensors`,
      new Map(weights("vae", "_orig_mod.", (name) => name)),
    );
    sameTensors(await loadNetwork(dir, specsOf("vae")), valuesOf("vae"));
  }));

/** A pickled object: its class, what it is called with, and its state. */
const object = (module: string, label: string, args: Uint8Array | string = ")", state?: Uint8Array) =>
  bytesOf(name(module, label), args, "R", ...(state ? [state, "b"] : []));
const instance = (module: string, label: string, ...rest: (string | number | Uint8Array)[]) =>
  bytesOf(name(module, label), ")", 0x81, ...rest);
const made = (module: string, label: string, state: Uint8Array) =>
  object(
    "copy_reg",
    "_reconstructor",
    bytesOf("(", name(module, label), name("__builtin__", "object"), "Nt"),
    state,
  );
const number = (value: number) => bytesOf("J", little(value, 4));
const array = bytesOf(
  object("numpy.core.multiarray", "_reconstruct", bytesOf("(", name("numpy", "ndarray"), sizes([0]), text("b"), "t")),
  ...["(", number(1), sizes([2]), object("numpy", "dtype", bytesOf("(", text("f8"), number(0), number(1), "t"))],
  ...[0x89, object("_codecs", "encode", bytesOf("(", text("0123456789abcdef"), text("latin1"), "t")), "tb"],
);

/** Objects that trainers keep beside the weights. */
const BESIDE: Readonly<Record<string, Uint8Array>> = {
  hyper_parameters: instance("pytorch_lightning.utilities.parsing", "AttributeDict", "(", text("lr"), number(1), "u"),
  path: object("pathlib", "PosixPath", bytesOf(text("/data"), text("out"), 0x86)),
  args: made("argparse", "Namespace", dictionary([["lr", number(1)]])),
  defaultdict: object("collections", "defaultdict", bytesOf(name("__builtin__", "list"), 0x85)),
  array,
  datetime: object(
    "datetime",
    "datetime",
    bytesOf(object("_codecs", "encode", bytesOf("(", text("\u0007èabcdefgh"), text("latin1"), "t")), 0x85),
  ),
  cfg: instance("omegaconf.dictconfig", "DictConfig", dictionary([["_content", dictionary([])]]), "b"),
  callbacks: bytesOf(
    "}(",
    name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    dictionary([]),
    "u",
  ),
  schedule: made("torch.optim.lr_scheduler", "LambdaLR", dictionary([["lr_lambdas", object("functools", "partial")]])),
  enum: object("train", "Mode", bytesOf(number(2), 0x85)),
  uuid: instance("uuid", "UUID", dictionary([["int", bytesOf(0x8a, 17, new Uint8Array(17).fill(1))]]), "b"),
  complex: object("__builtin__", "complex", bytesOf("G", new Uint8Array(8), "G", new Uint8Array(8), 0x86)),
  itself: bytesOf(instance("train", "State", "q", 200, "}(", text("self"), "h", 200, "u"), "b"),
};

Deno.test("objects beside the weights are left out as data and named", () =>
  inFolder(async (dir) => {
    for (const [key, pickled] of Object.entries(BESIDE)) {
      await writeTorch(`${dir}/${key}.ckpt`, vae(), { beside: [[key, pickled]] });
      const lines = await convertsVae(dir, `${dir}/${key}.ckpt`);
      const [left] = lines.filter((line) => line.startsWith("left out: "));
      // A dictionary is no object, and its content no weights.
      if (key === "defaultdict" || key === "callbacks") assert.equal(left, undefined, left);
      else assert.match(left ?? "", new RegExp(`^left out: ${key}.* \\([\\w.]+\\)$`), key);
    }
    const all = Object.entries(BESIDE);
    await writeTorch(`${dir}/all.ckpt`, vae(), { beside: all });
    await convertsVae(dir, `${dir}/all.ckpt`);
  }));

Deno.test("a module that was saved whole has the weights of its state", () =>
  inFolder(async (dir) => {
    // torch.save(model): modules within modules, parameters as such, buffers beside them.
    interface Node {
      readonly tensors: [string, Uint8Array][];
      readonly nodes: Map<string, Node>;
    }
    const root: Node = { tensors: [], nodes: new Map() };
    const storages: Record<string, Uint8Array> = {};
    for (const [key, { shape, data }] of vae()) {
      const path = key.split(".");
      let node = root;
      for (const word of path.slice(0, -1)) {
        if (!node.nodes.has(word)) node.nodes.set(word, { tensors: [], nodes: new Map() });
        node = node.nodes.get(word)!;
      }
      storages[key] = new Uint8Array(data.buffer);
      const parameter = bytesOf("(", tensor({ key, shape }), 0x88, name("collections", "OrderedDict"), ")Rt");
      node.tensors.push([path.at(-1)!, object("torch._utils", "_rebuild_parameter", parameter)]);
    }
    const pickled = ({ tensors, nodes }: Node): Uint8Array =>
      instance(
        "ldm.models.autoencoder",
        "Block",
        dictionary([
          ["training", bytesOf(0x88)],
          ["_parameters", dictionary(tensors)],
          ["_buffers", dictionary([])],
          ["_modules", dictionary([...nodes].map(([key, node]) => [key, pickled(node)]))],
        ]),
        "b",
      );
    await Deno.writeFile(`${dir}/model.pth`, torchFile(pickled(root), storages));
    await convertsVae(dir, `${dir}/model.pth`);
  }));

Deno.test("tensors that repeat their elements are read", () =>
  inFolder(async (dir) => {
    const tensors = vae();
    const [key] = [...tensors.keys()].filter((key) => key.endsWith("norm1.weight"));
    const { shape } = tensors.get(key!)!;
    tensors.delete(key!);
    const storages: Record<string, Uint8Array> = { one: new Uint8Array(Float32Array.of(1).buffer) };
    const entries = [...tensors].map(([label, { shape, data }]) => {
      storages[label] = new Uint8Array(data.buffer);
      return [label, tensor({ key: label, shape })] as const;
    });
    // torch.ones(1).expand(32): one element and a stride of 0.
    entries.push([key!, tensor({ key: "one", shape, strides: [0], elements: 1 })]);
    await Deno.writeFile(`${dir}/expanded.ckpt`, torchFile(dictionary(entries), storages));
    await convertsVae(dir, `${dir}/expanded.ckpt`);
  }));

Deno.test("byte order marks in front of configurations, indexes and vocabularies are ignored", () =>
  inFolder(async (dir) => {
    for (
      const path of [
        "unet/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
      ]
    ) {
      const text = await Deno.readTextFile(`models/tiny/${path}`);
      await copyFolder("models/tiny", `${dir}/tiny`);
      await Deno.writeTextFile(`${dir}/tiny/${path}`, `\uFEFF${text}`);
      const { code, notes } = await runCommand(["convert", `${dir}/tiny`, `${dir}/out`]);
      assert.equal(code, 0, `${path}: ${notes}`);
      for (const file of [path, "tokenizer/merges.txt"]) {
        assert.equal((await Deno.readTextFile(`${dir}/out/${file}`)).startsWith("\uFEFF"), false, file);
      }
      await Deno.remove(`${dir}/out`, { recursive: true });
    }
    await writeTorch(`${dir}/vae.ckpt`, vae());
    await Deno.writeTextFile(`${dir}/v1.yaml`, "\uFEFFmodel: { params: { scale_factor: 0.5 } }");
    await convertsVae(dir, `${dir}/vae.ckpt`, ["--config", `${dir}/v1.yaml`]);
  }));

Deno.test('a STAR detector as published, 68 points at 256 pixels, is read from checkpoint["net"]', () =>
  inFolder(async (dir) => {
    const config = starDetectorConfig.parse({ size_px: 256, stacks: 4, depth: 4, channels: 8 });
    const specs = detectorSpecs(config);
    const tensors = initialise(specs, 3);
    const net = starState(starNetwork(config), specs, tensors);
    const parallel = new Map([...net].map(([key, value]) => [`module.${key}`, value]));
    const roots: [string, ReadonlyMap<string, TorchValue>][] = [
      ["star", new Map<string, TorchValue>([["net", net], ["net_ema", net], ["optimizer", new Map()], ["epoch", 9]])],
      ["parallel", new Map<string, TorchValue>([["net", parallel]])],
    ];
    for (const [label, root] of roots) {
      await writeTorchArchive(`${dir}/${label}.pkl`, root);
      const { code, lines, notes } = await runCommand(["convert", `${dir}/${label}.pkl`, `${dir}/${label}`]);
      assert.equal(code, 0, notes);
      assert.match(lines[0]!, /: star, \d+ tensors, \d+ parameters; images of 256 pixels, as in all published ones/);
      const found = await readDetector(`${dir}/${label}`);
      assert.deepEqual(found.config, config);
      sameTensors(found.tensors, tensors);
    }
  }));

Deno.test("weights that lie in several places, and only as a moving average, are asked for", () =>
  inFolder(async (dir) => {
    const messages: Record<string, string> = {};
    const refused = async (key: string, path: string, options: string[] = []) => {
      const { code, notes } = await runCommand(["convert", path, `${dir}/out`, ...options]);
      assert.equal(code, 2, notes);
      messages[key] = notes;
    };
    const twice = new Map([...vae("student."), ...vae("teacher.")]);
    await writeSafetensors(`${dir}/twice.safetensors`, twice);
    await refused("two networks of a kind", `${dir}/twice.safetensors`);
    await writeSafetensors(`${dir}/unknown.safetensors`, new Map([["state_dict.a.b", values(1)]]));
    await refused("no network that is known", `${dir}/unknown.safetensors`);
    const none: TorchOptions = { keys: ["a"], beside: [["weights", array]] };
    const key = [...vae().keys()].find((name) => name.endsWith("conv2.bias"));
    const fewer = vae();
    fewer.delete(key!);
    const complex = tensor({ key: "0", shape: [2], storage: "ComplexFloatStorage" });
    await writeTorch(`${dir}/complex.ckpt`, fewer, { keys: [], beside: [[key!, complex]] });
    await refused("a tensor of a type that is not read", `${dir}/complex.ckpt`);
    await writeTorch(`${dir}/arrays.ckpt`, new Map(), none);
    await refused("arrays of numpy in place of tensors", `${dir}/arrays.ckpt`);

    const names = unetNames(unetConfig);
    const flat = (name: string) => `model_ema.diffusion_model${names(name).replaceAll(".", "")}`;
    const averaged = [...sd()].filter(([key]) => !key.startsWith("model."));
    await writeSafetensors(`${dir}/ema.safetensors`, new Map([...averaged, ...weights("unet", "", flat, 6)]));
    await refused("a UNet as a moving average only", `${dir}/ema.safetensors`);
    const { code, lines, notes } = await runCommand(["convert", `${dir}/ema.safetensors`, `${dir}/out`, "--ema"]);
    assert.equal(code, 0, notes);
    assert.deepEqual(lines.filter((line) => line.startsWith("left out")), []);
    sameTensors(await loadNetwork(`${dir}/out/unet`, specsOf("unet")), valuesOf("unet", 6));
    assert.deepEqual(await loadNetworkConfig(`${dir}/out/unet`, unetFormat), unetConfig);
    checkMessages("checkpoints", messages, dir);
  }));
