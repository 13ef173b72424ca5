/**
 * Generates aligned pairs: landmarks are edited, drawn, and turned into pictures of a style.
 *
 * @module
 */

import { z } from "zod";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { type NewRecord, openDataset } from "../../faces/data/dataset.ts";
import { contactSheet, overlayLandmarks } from "../../faces/draw.ts";
import { readEdits } from "../../faces/edit_file.ts";
import { applyEdits } from "../../faces/edits.ts";
import type { Image } from "../../faces/data/image.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import { mirrorLandmarks } from "../../faces/landmarks.ts";
import { loadStyle, styleFiles, stylePrompt } from "../../faces/render/styles.ts";
import { openModel, readModel } from "../../models/io/pipeline_folder.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { uploadParameters } from "../../models/io/params.ts";
import { samplerFetches } from "../../models/diffusion/sampler.ts";
import type { Device } from "../../engine/device.ts";
import { formatSeconds } from "../../runtime/run/progress.ts";
import { Random } from "../../engine/rng.ts";
import { stage } from "../../runtime/stage.ts";
import { align, rejection, robustZScore, styleStatistics } from "../lib/alignment.ts";
import { ifKnown, measuringSchemaConflicts, sizeConflicts } from "../lib/checks.ts";
import { costsOf, datasetInfo, expectedControlnet, networksOf, schemaNameOf } from "../lib/estimates.ts";
import { ImageGenerator, samplerOf, samplingOptions } from "../lib/painting.ts";

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
  ...samplingOptions,
  dtype: z.enum(["f32", "f16"]).optional().describe(
    "Element type of the networks' weights in memory, f32 when not given; f16 takes half of it",
  ),
  redraw: z.strictObject({
    retries: z.int().min(1).max(20).default(3).describe("Most times that a rejected image is generated again"),
    ...rejection,
  }).optional().describe(
    "Draws pictures again, with other noise, which do not fit their landmarks as the input detector sees it, and keeps " +
      "the best fitting try",
  ),
});

/** `dataset/generate`: landmarks to pairs (the paper, section 3.3). */
export const generatePairs = stage({
  id: "dataset/generate",
  doc: "Generates pairs of images and landmarks: edits landmarks and paints each face in the styles asked for.",
  version: 2,
  inputs: { model: "model", landmarks: "dataset", "detector?": "detector" },
  output: "dataset",
  options,
  files: (given) => [...chosenFiles(given), ...editFiles(given.edits)],
  async check(given, { model, landmarks, detector }) {
    const { edits: { pick, names, dir }, redraw, styles_dir } = given;
    // A wrong style or edit is found here, not after hours.
    const styles = await Promise.all(chosenFiles(given).map(loadStyle));
    const edits = await readEdits(dir, names);
    const networks = await ifKnown(() => networksOf(model));
    const schema = await ifKnown(() => schemaNameOf([landmarks]));
    const other = edits.find((edit) => schema !== undefined && edit.schema.name !== schema);
    return [
      redraw && !detector && { option: "redraw", reason: `the input "detector" is missing` },
      detector && !redraw && { input: "detector", reason: `"redraw" is missing`, hint: "redraw: {}" },
      styles.length === 0 && { option: "styles_dir", reason: `${styles_dir} has no style to train on` },
      pick > 0 && edits.length === 0 && {
        option: "edits",
        reason: `${pick} are to be drawn from none`,
        hint: "set edits: { pick: 0 } for no edits",
      },
      pick > 0 && other && {
        option: "edits",
        reason: `"${other.name}" is of schema ${other.schema.name} and the landmarks are of ${schema}`,
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
    const { spec } = samplerOf({ ...networks, controlnet }, size_px, networks.tokens, given);
    const { once, step, finish } = samplerFetches(spec);
    const images = chosenFiles(given).length * given.per_style;
    return {
      step: `${given.sampler ?? "ddim"}, ${given.batch_size} images of ${size_px} px${spec.guided ? ", guided" : ""}`,
      steps: Math.ceil(images / given.batch_size) * given.steps,
      ...costsOf([step], [once, finish], { isF16: () => given.dtype === "f16", onPlan }),
      images,
      styles: `${chosenFiles(given).length} x ${given.per_style}`,
    };
  },
  async run(ctx, { model, landmarks, detector }, given) {
    const styles = await Promise.all(chosenFiles(given).map(loadStyle));
    const edits = await readEdits(given.edits.dir, given.edits.names);
    const source = await openDataset(landmarks.dir);
    const { size_px, schema } = source;
    const total = styles.length * given.per_style;

    /** Pair `index`: a face at random, mirrored or not, edited; a function of the seed and the index alone. */
    const planPair = (index: number): NewRecord => {
      const random = new Random(ctx.seed, "dataset/generate.landmarks").at(index);
      const style = styles[index % styles.length]!;
      const record = source.records[random.int(source.records.length)]!;
      const mirrored = random.uniform() < 0.5 && given.mirror;
      const start = mirrored ? mirrorLandmarks(record.landmarks, schema, size_px) : record.landmarks;
      const edited = applyEdits(start, schema, edits, { pick: given.edits.pick, size_px }, random);
      return {
        style: style.style,
        group: `pair-${index}`,
        landmarks: edited.landmarks,
        prompt: stylePrompt(style),
        source: `${record.file_name}${mirrored ? ", mirrored" : ""}`,
        edits: edited.applied,
      };
    };

    // Pictures are kept in the work folder as they are made, so that a stop loses at most one batch. A picture's number
    // is that of its pair, of the first try, then total more for each other one; it is the seed of its noise too.
    const pathOf = (picture: number) => `${ctx.work}/${String(picture).padStart(6, "0")}.png`;
    const made = new Set<string>();
    for await (const { name } of Deno.readDir(ctx.work)) if (name.endsWith(".png")) made.add(`${ctx.work}/${name}`);
    if (made.size) ctx.log(`${made.size} pictures are there already`);
    let painter: Awaited<ReturnType<typeof openPainter>> | undefined;

    /** Paints those of some pictures that are not there. */
    const paint = async (pictures: readonly number[], fields: { doing?: string } = {}) => {
      const missing = pictures.filter((picture) => !made.has(pathOf(picture)));
      if (!missing.length) return;
      painter ??= await openPainter(await ctx.device(), model.dir, size_px, given);
      const began = performance.now();
      let per_minute = 0;
      for (let first = 0; first < missing.length; first += given.batch_size) {
        ctx.signal.throwIfAborted();
        const now = missing.slice(first, first + given.batch_size);
        const images = await painter.paint(now.map((picture) => ({
          ...planPair(picture % total),
          schema,
          negative_prompt: styles[picture % total % styles.length]!.negative_prompt,
          random: new Random(ctx.seed, "dataset/generate.noise").at(picture),
        })));
        for (const [k, image] of images.entries()) {
          const path = pathOf(now[k]!);
          await writePng(`${path}.tmp`, image);
          await Deno.rename(`${path}.tmp`, path);
        }
        const done = first + now.length;
        per_minute = Number((done / (performance.now() - began) * 60_000).toPrecision(3));
        ctx.progress(pictures.length - missing.length + done, pictures.length, { ...fields, per_minute });
      }
      const took = formatSeconds((performance.now() - began) / 1000);
      ctx.log(`${missing.length} pictures in ${took}, ${per_minute} a minute`);
    };

    const all = Array.from({ length: total }, (_, index) => index);
    await paint(all);
    /** The picture of each pair. */
    const chosen = [...all];
    let redrawn = 0, doubtful: number[] = [];
    if (detector && given.redraw) {
      const { retries, max_zscore, max_nme = Infinity } = given.redraw;
      const judge = await loadDetector(await ctx.device(), detector.dir);
      const look = async (pictures: readonly number[]) => {
        const read = async (k: number) => ({
          image: await readImage(pathOf(pictures[k]!)),
          landmarks: planPair(pictures[k]! % total).landmarks,
        });
        const { nme } = await align(judge, schema, pictures.length, read, (done) => {
          ctx.signal.throwIfAborted();
          ctx.progress(done, pictures.length, { doing: `looking with ${detector.stage}` });
        });
        return nme;
      };
      // What is usual is told by the first tries: it must not get stricter as the worst ones are replaced.
      const nme = await look(all);
      const styleOf = (index: number) => styles[index % styles.length]!.style;
      const usual = styleStatistics(nme, all.map(styleOf));
      const rejected = (index: number) =>
        robustZScore(nme[index]!, usual.get(styleOf(index))!) > max_zscore || nme[index]! > max_nme;
      doubtful = all.filter(rejected);
      redrawn = doubtful.length;
      for (let attempt = 1; attempt <= retries && doubtful.length; attempt++) {
        ctx.log(`${doubtful.length} of ${total} pictures do not fit their landmarks, drawing them again`);
        const pictures = doubtful.map((index) => index + attempt * total);
        await paint(pictures, { doing: `drawing again, ${attempt} of ${retries}` });
        for (const [k, error] of (await look(pictures)).entries()) {
          const index = doubtful[k]!;
          if (error >= nme[index]!) continue;
          nme[index] = error;
          chosen[index] = pictures[k]!;
        }
        doubtful = doubtful.filter(rejected);
      }
      if (doubtful.length) ctx.log(`${doubtful.length} pictures do not fit after ${retries} tries; their best is kept`);
      judge.destroy();
    }
    painter?.destroy();

    const writer = await DatasetWriter.create(ctx.dir, schema);
    for (const [index, picture] of chosen.entries()) {
      ctx.signal.throwIfAborted();
      await writer.addFile(pathOf(picture), size_px, { ...planPair(index), seed: picture });
    }
    await writer.close();

    // A row is a style: each picture, and beside it the landmarks that were asked for.
    const sheet: Image[] = [], labels: string[] = [];
    const enlarge = Math.max(1, Math.floor(128 / size_px));
    const shown = Math.min(PAIRS_ON_SHEET, given.per_style);
    for (let cell = 0; cell < styles.length * shown; cell++) {
      const index = (cell % shown) * styles.length + Math.floor(cell / shown);
      const pair = planPair(index);
      const image = await readImage(pathOf(chosen[index]!));
      sheet.push(image, overlayLandmarks(image, pair.landmarks, schema, enlarge));
      labels.push(pair.style, (pair.edits ?? []).map(({ edit }) => edit).join(" "));
    }
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet, 2 * shown, { labels, cell_px: size_px * enlarge }));
    ctx.summary({
      images: total,
      styles: styles.length,
      ...(given.redraw && { redrawn, doubtful: doubtful.length }),
    });
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

/** A painter with the networks of a model. */
async function openPainter(device: Device, dir: string, size_px: number, given: z.output<typeof options>) {
  const model = await openModel(dir);
  const { tokenizer } = model;
  const controlnet = model.controlnet!; // or it is a conflict
  const { specs } = samplerOf({ ...model, controlnet }, size_px, tokenizer.length, given);
  const parameters = await uploadParameters(device, readModel(model, specs), given.dtype);
  const painter = new ImageGenerator(device, { ...model, controlnet }, size_px, given, parameters);
  return {
    paint: painter.generate.bind(painter),
    destroy() {
      painter.destroy();
      for (const tensor of parameters.values()) tensor.destroy();
    },
  };
}
