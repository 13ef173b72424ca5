/**
 * Generates aligned pairs: landmarks are edited, drawn, and turned into pictures of a style.
 *
 * @module
 */

import { z } from "zod";
import { DatasetWriter, type NewRecord, openDataset } from "../faces/dataset.ts";
import { contactSheet, drawCondition, overlayLandmarks } from "../faces/draw.ts";
import { applyEdits, readEdits } from "../faces/edits.ts";
import { type Image, readImage, writePng } from "../faces/image.ts";
import { mirrorLandmarks } from "../faces/landmarks.ts";
import { loadStyle, styleFiles, stylePrompt } from "../faces/styles.ts";
import { decodeLatent, latentChannels } from "../models/autoencoder.ts";
import { encodePrompt, type Model, openModel, readModel } from "../models/checkpoint.ts";
import { controlFromHint, type ControlNetConfig, embedHint } from "../models/controlnet.ts";
import { type ParameterSpec, Scope, uploadParameters } from "../models/params.ts";
import { Sampler, samplerGoals, type SamplerSpec } from "../models/sampler.ts";
import { ddimSteps } from "../models/schedule.ts";
import { unet } from "../models/unet.ts";
import { scale } from "../ops/scale.ts";
import type { Device } from "../runtime/device.ts";
import { elements, Graph } from "../runtime/graph.ts";
import { Random } from "../runtime/rng.ts";
import { stage } from "../runtime/stage.ts";
import { costsOf, expectedControlnet, networksOf, sizeOf } from "./_costs.ts";
import { Prompts } from "./_diffusion.ts";
import { toImage } from "./_faces.ts";

const options = z.object({
  styles: z.array(z.string().min(1)).min(1).optional().describe("Names of styles; all training styles when not given"),
  styles_dir: z.string().min(1).default("pipelines/styles").describe("Folder of the style files"),
  per_style: z.int().min(1).max(100_000).describe("Pairs of each style"),
  edits: z.object({
    pick: z.int().min(0).max(8).default(2).describe("Edits for each pair, drawn at random"),
    names: z.array(z.string()).optional().describe("Edits to draw from; all of the folder when not given"),
    dir: z.string().default("pipelines/edits").describe("Folder of the edit files"),
  }).prefault({}).describe("Changes of the landmarks"),
  mirror: z.boolean().default(true).describe("Mirrors every second face"),
  steps: z.int().min(1).max(1000).default(20).describe("DDIM steps"),
  guidance: z.number().min(1).max(30).default(2).describe("Scale of classifier-free guidance; 1 is none"),
  eta: z.number().min(0).max(1).default(0).describe("Fresh noise in each step; 0 is deterministic"),
  control_scale: z.number().min(0).max(3).default(1).describe("How strongly the landmarks act"),
  batch: z.int().min(1).max(256).default(8).describe("Images sampled at once"),
  weights: z.enum(["f32", "f16"]).optional().describe(
    "Element type of the networks' weights in memory, f32 when not given; f16 takes half of it",
  ),
});

/** A pair that is planned: everything about it but its picture. */
interface Planned extends NewRecord {
  readonly name: string;
}

/** `dataset/generate`: landmarks to pairs (the paper, section 3.3). */
export const generatePairs = stage({
  id: "dataset/generate",
  doc: "Generates pairs of images and landmarks: edits landmarks and paints each face in the styles asked for.",
  version: 1,
  inputs: { model: "model", landmarks: "dataset" },
  output: "dataset",
  options,
  files: (given) => [...chosenFiles(given), ...editFiles(given.edits)],
  expects: async (given, { landmarks }) => ({
    size_px: await sizeOf([landmarks]),
    images: chosenFiles(given).length * given.per_style,
  }),
  async cost(given, { model, landmarks }) {
    const networks = await networksOf(model);
    const controlnet = expectedControlnet(networks);
    const size_px = await sizeOf([landmarks]);
    const { spec } = samplerOf({ ...networks, controlnet }, size_px, networks.tokens, given);
    const { once, step, finish } = samplerGoals(spec);
    return {
      step: `DDIM, ${given.batch} images of ${size_px} px${spec.guided ? ", guided" : ""}`,
      ...costsOf([step], [once, finish], () => given.weights === "f16"),
      images: chosenFiles(given).length * given.per_style,
    };
  },
  async run(ctx, { model, landmarks }, given) {
    const styles = await Promise.all(chosenFiles(given).map(loadStyle));
    const edits = await readEdits(given.edits.dir, given.edits.names);
    const source = await openDataset(landmarks.dir);
    const { size_px } = source;
    const total = styles.length * given.per_style;

    /** Pair `index`: a face at random, mirrored or not, edited; a function of the seed and the index alone. */
    const planPair = (index: number): Planned => {
      const random = new Random(ctx.seed, "dataset/generate.landmarks").at(index);
      const style = styles[index % styles.length]!;
      const record = source.records[random.int(source.records.length)]!;
      const mirrored = random.uniform() < 0.5 && given.mirror;
      const start = mirrored ? mirrorLandmarks(record.landmarks, size_px) : record.landmarks;
      const edited = applyEdits(start, edits, { pick: given.edits.pick, size_px }, random);
      return {
        name: `${String(index).padStart(6, "0")}.png`,
        style: style.style,
        group: `pair-${index}`,
        landmarks: edited.landmarks,
        prompt: stylePrompt(style),
        source: `${record.file_name}${mirrored ? ", mirrored" : ""}`,
        edits: edited.applied,
        seed: index,
      };
    };

    // Pictures are kept in the work folder as they are made, so that a stop loses at most one batch.
    const made = new Set<string>();
    for await (const { name } of Deno.readDir(ctx.work)) if (name.endsWith(".png")) made.add(name);
    const missing = Array.from({ length: total }, (_, k) => k).filter((k) => !made.has(planPair(k).name));
    if (made.size) ctx.log(`${made.size} pictures are there already`);
    if (missing.length) {
      const painter = await makePainter(ctx.device(), model.dir, size_px, given);
      const began = performance.now();
      for (let first = 0; first < missing.length; first += given.batch) {
        ctx.signal.throwIfAborted();
        const indices = missing.slice(first, first + given.batch);
        const images = await painter.paint(indices.map((index) => ({
          ...planPair(index),
          negative_prompt: styles[index % styles.length]!.negative_prompt,
          random: new Random(ctx.seed, "dataset/generate.noise").at(index),
        })));
        for (const [k, image] of images.entries()) {
          const path = `${ctx.work}/${planPair(indices[k]!).name}`;
          await writePng(`${path}.tmp`, image);
          await Deno.rename(`${path}.tmp`, path);
        }
        const done = first + indices.length;
        const per_minute = Math.round(done / (performance.now() - began) * 60_000);
        ctx.progress(total - missing.length + done, total, { per_minute });
      }
      painter.destroy();
    }

    const writer = await DatasetWriter.create(ctx.dir);
    for (let index = 0; index < total; index++) {
      const { name, ...record } = planPair(index);
      await writer.add(await readImage(`${ctx.work}/${name}`), record);
    }
    await writer.close();

    // A row is a style: each picture, and beside it the landmarks that were asked for.
    const sheet: Image[] = [], labels: string[] = [];
    const enlarge = Math.max(1, Math.floor(128 / size_px));
    const shown = Math.min(PAIRS_ON_SHEET, given.per_style);
    for (let cell = 0; cell < styles.length * shown; cell++) {
      const pair = planPair((cell % shown) * styles.length + Math.floor(cell / shown));
      const image = await readImage(`${ctx.work}/${pair.name}`);
      sheet.push(image, overlayLandmarks(image, pair.landmarks, enlarge));
      labels.push(pair.style, (pair.edits ?? []).map(({ edit }) => edit).join(" "));
    }
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet, 2 * shown, { labels, cell_px: size_px * enlarge }));
    ctx.summary({ images: total, styles: styles.length });
  },
});

/** Pairs of a style on the contact sheet, at most. */
const PAIRS_ON_SHEET = 5;

/** Files of the styles that are asked for. */
function chosenFiles({ styles, styles_dir }: z.output<typeof options>): string[] {
  return styles ? styles.map((name) => `${styles_dir}/${name}.yaml`) : styleFiles(styles_dir, "train");
}

/** Files of the edits that are asked for. */
function editFiles({ names, dir }: z.output<typeof options>["edits"]): string[] {
  const all = names ??
    [...Deno.readDirSync(dir)].filter(({ name }) => name.endsWith(".yaml")).map(({ name }) => name.slice(0, -5));
  return all.map((name) => `${dir}/${name}.yaml`).sort();
}

/** What a picture is painted from. */
interface Request {
  readonly landmarks: Float32Array;
  readonly prompt?: string;
  readonly negative_prompt: string;
  readonly random: Random;
}

/** A sampler of a model's networks, and the parameters that it names. */
function samplerOf(
  { vae, text, unet: unetConfig, controlnet }: Pick<Model, "vae" | "text" | "unet"> & { controlnet: ControlNetConfig },
  size_px: number,
  tokens: number,
  given: z.output<typeof options>,
) {
  const { batch } = given;
  const side = size_px / 2 ** (vae.block_out_channels.length - 1);
  const shape = [batch, side, side, latentChannels(vae)] as const;
  const guided = given.guidance !== 1;
  const copies = guided ? 2 * batch : batch;
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = (network: string) => new Scope(graph, specs, `${network}/`);
  const spec = {
    graph,
    shape,
    once: {
      context: encodePrompt(scope("text_encoder"), text, graph.input("ids", [copies, tokens])),
      hint: embedHint(scope("controlnet"), controlnet, graph.input("drawing", [copies, size_px, size_px, 3])),
    },
    predict(sample, timesteps, { context, hint }) {
      const inputs = { sample, timesteps, context: context! };
      const control = controlFromHint(scope("controlnet"), controlnet, inputs, hint!, {
        scale: given.control_scale,
      });
      return unet(scope("unet"), unetConfig, inputs, control);
    },
    finish: (x) => decodeLatent(scope("vae"), vae, scale(x, 1 / vae.scaling_factor)),
    guided,
    noisy: given.eta > 0,
  } satisfies SamplerSpec;
  // Describing the networks once names the parameters to load.
  spec.finish(spec.predict(graph.input("sample", [copies, ...shape.slice(1)]), graph.input("t", [copies]), spec.once));
  return { spec, specs, copies };
}

/** Loads the networks of a model and makes pictures of landmarks and prompts. */
async function makePainter(
  opening: Promise<Device>,
  dir: string,
  size_px: number,
  given: z.output<typeof options>,
) {
  const device = await opening;
  const { batch } = given;
  const model = await openModel(dir);
  if (!model.controlnet) {
    throw new TypeError(
      `Cannot generate pairs with ${dir} as it has no controlnet/, hint: train one with diffusion/train`,
    );
  }
  const { controlnet } = model;
  const prompts = new Prompts(model.tokenizer);
  const { spec, specs, copies } = samplerOf({ ...model, controlnet }, size_px, prompts.length, given);
  const parameters = await uploadParameters(device, readModel(model, specs), given.weights);
  const sampler = new Sampler(device, spec, parameters);
  const steps = ddimSteps(model.schedule, given.steps, given.eta);
  const size = elements(spec.shape) / batch;

  return {
    /** Paints up to `batch` pictures. */
    async paint(requests: readonly Request[]): Promise<Image[]> {
      const floats = (n: number, rows = batch) => new Float32Array(rows * n);
      const [start, ids, drawing] = [floats(size), floats(prompts.length, copies), floats(size_px ** 2 * 3, copies)];
      const put = (into: Float32Array, row: number, values: Float32Array) => into.set(values, row * values.length);
      for (const [k, { landmarks, prompt = "", negative_prompt, random }] of requests.entries()) {
        put(start, k, random.fillNormal(new Float32Array(size)));
        const picture = drawCondition(landmarks, size_px);
        for (const [row, text] of [[k, prompt], [k + batch, negative_prompt]] as const) {
          if (row >= copies) continue;
          put(ids, row, prompts.ids(text));
          put(drawing, row, picture);
        }
      }
      const noise = () => {
        const out = floats(size);
        requests.forEach(({ random }, k) => put(out, k, random.fillNormal(new Float32Array(size))));
        return out;
      };
      const { guidance } = given;
      const pixels = await sampler.sample({ start, steps, inputs: { ids, drawing }, guidance, noise });
      const bytes = size_px * size_px * 3;
      return requests.map((_, k) => toImage(pixels.subarray(k * bytes, (k + 1) * bytes), size_px));
    },
    /** Frees networks and plans. */
    destroy() {
      sampler.destroy();
      for (const tensor of parameters.values()) tensor.destroy();
    },
  };
}
