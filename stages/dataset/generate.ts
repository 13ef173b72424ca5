/**
 * Generates aligned pairs: landmarks are edited, drawn, and turned into images of a style.
 *
 * @module
 */

import { z } from "zod";
import { counted } from "../../formats/numbers.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { readEdits } from "../../faces/edit_file.ts";
import { loadStyle, styleFiles } from "../../faces/render/styles.ts";
import { openModel, readModel } from "../../models/io/pipeline_folder.ts";
import { uploadParameters } from "../../models/io/params.ts";
import { samplerFetches } from "../../models/diffusion/sampler.ts";
import { itemAt } from "../../engine/lookup.ts";
import { disposing } from "../../engine/tensor.ts";
import type { Device } from "../../engine/device.ts";
import { type Artifact, type ShardContext, stage } from "../../runtime/stage.ts";
import { rejection } from "../lib/alignment.ts";
import { ifKnown, measuringSchemaConflicts, sizeConflicts } from "../lib/checks.ts";
import { datasetInfo, expectedControlnet, networksOf, schemaNameOf } from "../lib/artifacts.ts";
import { costsOf } from "../lib/estimates.ts";
import { heedsEta, skippedSteps } from "../../models/diffusion/samplers/method.ts";
import { SAMPLERS } from "../../models/diffusion/samplers/registry.ts";
import { ImageGenerator } from "../lib/painting.ts";
import { type GeneratorOptions, samplerOf, samplingOptions } from "../lib/sampling.ts";
import { type Pairs, planPairs } from "./_pairs.ts";
import { writeContactSheet } from "./_pairs_sheet.ts";
import { type OpenGenerator, PictureStore, redrawRejected } from "./_pictures.ts";

const options = z.object({
  styles: z.array(z.string().min(1)).min(1).optional().describe("Names of styles; by default all training styles"),
  styles_dir: z.string().min(1).default("pipelines/styles").describe("Folder of the style files"),
  per_style: z.int().min(1).max(100_000).describe("Pairs per style"),
  edits: z.object({
    pick: z.int().min(0).max(8).default(2).describe("Edits per pair, drawn at random"),
    names: z.array(z.string()).optional().describe("Edits to draw from; by default all of the folder"),
    dir: z.string().default("pipelines/edits").describe("Folder of the edit files"),
  }).prefault({}).describe("Changes of the landmarks"),
  mirror: z.boolean().default(true).describe("Mirrors a face with probability 0.5"),
  mixture: z.strictObject({
    fraction: z.number().gt(0).max(1).default(0.5).describe("Share of the pairs that are mixtures of two styles"),
    by: z.enum(["embedding", "words"]).default("embedding").describe(
      "embedding: a weighted mean of the two prompts' embeddings; words: one prompt with both names",
    ),
    share: z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]).default([0.3, 0.7]).describe(
      "by embedding: least and largest share of the second style",
    ),
  }).optional().describe(
    'Mixes styles, which gives pictures that no recipe draws; such pairs have the style "mixed" and a prompt that names both',
  ),
  same_landmarks: z.boolean().optional().describe(
    "Gives each style the same faces, so that contact.png has each of them in all styles; by default false",
  ),
  ...samplingOptions,
  dtype: z.enum(["f32", "f16"]).optional().describe(
    "Element type of the networks' weights in memory; f16 halves their memory; by default f32",
  ),
  redraw: z.strictObject({
    retries: z.int().min(1).max(20).default(3).describe("Largest number of further tries for a rejected image"),
    ...rejection,
  }).optional().describe(
    "Regenerates, with other noise, images that do not fit their landmarks as judged by the input detector, and keeps " +
      "the best",
  ),
});

/** `dataset/generate`: landmarks to pairs (the paper, section 3.3). */
export const generatePairs = stage({
  id: "dataset/generate",
  doc:
    "Generates pairs of images and landmarks: edits landmarks and generates an image of each face in the requested styles.",
  version: 3,
  inputs: { model: "model", landmarks: "dataset", "detector?": "detector" },
  output: "dataset",
  options,
  files: (given) => [...chosenFiles(given), ...editFiles(given.edits)],
  async check(given, { model, landmarks, detector }, set) {
    const { edits: { pick, names, dir }, mixture, redraw, spacing, styles_dir, sampler = "ddim" } = given;
    // A wrong style or edit is found here, not after hours.
    const styles = await Promise.all(chosenFiles(given).map(loadStyle));
    const edits = await readEdits(dir, names);
    const networks = await ifKnown(() => networksOf(model));
    const schema = await ifKnown(() => schemaNameOf([landmarks]));
    const other = edits.find((edit) => schema !== undefined && edit.schema.name !== schema);
    return [
      redraw && !detector && { option: "redraw", reason: `the input "detector" is missing` },
      detector && !redraw && { input: "detector", reason: `"redraw" is missing`, hint: "redraw: {}" },
      !heedsEta(SAMPLERS[sampler]) && set.has("eta") &&
      { option: "eta", reason: `it is for sampler ddim: current value is ${sampler}` },
      spacing !== undefined && !SAMPLERS[sampler].continuous &&
      { option: "spacing", reason: `it is for sampler dpmpp_2m: current value is ${sampler}` },
      styles.length === 0 && { option: "styles_dir", reason: `${styles_dir} has no style to train on` },
      given.strength !== undefined && pick > 0 && {
        option: "strength",
        reason: "images to begin with have no edited landmarks",
        hint: "set edits: { pick: 0 }",
      },
      mixture && styles.length < 2 && { option: "mixture", reason: `it takes two styles: there is ${styles.length}` },
      mixture && mixture.share[0] > mixture.share[1] && {
        option: ["mixture", "share"],
        reason: `the least is above the largest: current value is [${mixture.share.join(", ")}]`,
      },
      pick > 0 && edits.length === 0 && {
        option: "edits",
        reason: `${pick} are to be drawn from none`,
        hint: "set edits: { pick: 0 } for no edits",
      },
      pick > 0 && other && {
        option: "edits",
        reason: `"${other.name}" is of schema ${other.schema.name} and the landmarks are of ${schema}`,
      },
      networks?.timesteps !== undefined && given.steps > networks.timesteps && {
        option: "steps",
        reason: `the schedule of "${model.stage}" has ${networks.timesteps} time steps`,
      },
      networks?.controlnet === null && {
        input: "model",
        reason: `"${model.stage}" has no ControlNet`,
        hint: "train one with diffusion/train",
      },
      ...(networks ? await sizeConflicts([landmarks], networks.vae, networks.unet, "landmarks") : []),
      ...await measuringSchemaConflicts([landmarks], detector, "landmarks"),
    ];
  },
  describeOutput: async (given, { landmarks }) => ({
    ...await datasetInfo([landmarks]),
    images: chosenFiles(given).length * given.per_style,
  }),
  async cost(given, { model, landmarks }, onPlan) {
    const networks = await networksOf(model);
    const controlnet = expectedControlnet(networks);
    const { size_px } = await datasetInfo([landmarks]);
    const { spec, encode } = samplerOf({ ...networks, controlnet }, size_px, networks.tokens, byEmbedding(given));
    const { once, step, finish } = samplerFetches(spec);
    const images = chosenFiles(given).length * given.per_style;
    return {
      step: `${given.sampler ?? "ddim"}, ${counted(given.batch_size, "image")} of ${size_px} px${
        spec.guided ? ", guided" : ""
      }`,
      steps: Math.ceil(images / given.batch_size) * (given.steps - skippedSteps(given.steps, given)),
      ...costsOf([step], [once, finish, ...encode ? [encode] : []], { isF16: () => given.dtype === "f16", onPlan }),
      images,
      styles: `${chosenFiles(given).length} x ${given.per_style}`,
    };
  },
  async shard(ctx, { model, landmarks }, given, { index, count }) {
    const { pairs, open } = await preparePairs(ctx, model, landmarks, given);
    using pictures = await PictureStore.open(ctx, pairs, open, given.batch_size);
    await pictures.generate(pairs.all.filter((picture) => Math.floor(picture / given.batch_size) % count === index));
  },
  async run(ctx, { model, landmarks, detector }, given) {
    const { pairs, open } = await preparePairs(ctx, model, landmarks, given);
    const { size_px, schema } = pairs;
    using pictures = await PictureStore.open(ctx, pairs, open, given.batch_size);
    await pictures.generate(pairs.all);
    const redrawn = detector && given.redraw && await redrawRejected(ctx, pairs, pictures, detector, given.redraw);
    const { chosen } = redrawn ?? { chosen: pairs.all };
    const pathOf = (index: number) => pictures.pathOf(itemAt(chosen, index, "pictures"));

    const writer = await DatasetWriter.create(ctx.dir, schema);
    for (const [index, picture] of chosen.entries()) {
      ctx.signal.throwIfAborted();
      await writer.addFile(pictures.pathOf(picture), size_px, { ...pairs.pair(index), seed: picture });
    }
    await writer.close();
    await writeContactSheet(`${ctx.dir}/contact.png`, pairs, pathOf);
    ctx.summary({
      images: pairs.total,
      styles: chosenFiles(given).length,
      ...(redrawn && { redrawn: redrawn.redrawn, doubtful: redrawn.doubtful }),
    });
  },
});

/** The pairs to generate, and what opens the networks. */
async function preparePairs(
  ctx: ShardContext,
  model: Artifact,
  landmarks: Artifact,
  given: z.output<typeof options>,
): Promise<{ pairs: Pairs; open: () => Promise<OpenGenerator> }> {
  const styles = await Promise.all(chosenFiles(given).map(loadStyle));
  const edits = await readEdits(given.edits.dir, given.edits.names);
  const source = await openDataset(landmarks.dir);
  const pairs = planPairs(ctx.seed, source, styles, edits, given);
  return { pairs, open: async () => await openGenerator(await ctx.device(), model.dir, source.size_px, given) };
}

/** Options of a generator that mixes embeddings only if it is to. */
function byEmbedding({ mixture, ...given }: z.output<typeof options>): GeneratorOptions {
  return mixture?.by === "embedding" ? { ...given, mixture } : given;
}

/** Files of the requested styles. */
function chosenFiles({ styles, styles_dir }: z.output<typeof options>): string[] {
  return styles ? styles.map((name) => `${styles_dir}/${name}.yaml`) : styleFiles(styles_dir, "train");
}

/** Files of the requested edits. */
function editFiles({ names, dir }: z.output<typeof options>["edits"]): string[] {
  const all = names ??
    [...Deno.readDirSync(dir)].filter(({ name }) => name.endsWith(".yaml")).map(({ name }) => name.slice(0, -5));
  return all.map((name) => `${dir}/${name}.yaml`).sort();
}

/** An image generator with the networks of a model. */
async function openGenerator(
  device: Device,
  dir: string,
  size_px: number,
  given: z.output<typeof options>,
): Promise<OpenGenerator> {
  const model = await openModel(dir);
  const { tokenizer } = model, sampling = byEmbedding(given);
  const controlnet = model.controlnet!; // or it is a conflict
  const { specs } = samplerOf({ ...model, controlnet }, size_px, tokenizer.length, sampling);
  const parameters = await uploadParameters(device, readModel(model, specs), given.dtype);
  using owned = disposing(parameters.values());
  const generator = owned.use(new ImageGenerator(device, { ...model, controlnet }, size_px, sampling, parameters));
  const kept = owned.move();
  return { generate: generator.generate.bind(generator), [Symbol.dispose]: () => kept.dispose() };
}
