/**
 * Draws the embedded world: parametric heads in styles, with exact landmarks.
 *
 * @module
 */
import { z } from "zod";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { contactSheet } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { PicturePool } from "../../faces/data/pool.ts";
import { DEFAULT_POSE, type HeadParams, renderFaces, samplePerson, sampleShot } from "../../faces/render/render.ts";
import { loadStyle, styleFiles, stylePrompt } from "../../faces/render/styles.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { Random } from "../../engine/rng.ts";
import { stage } from "../../runtime/stage.ts";

/** Images between two checks of the signal. */
const CHUNK = 32;
const SHEET_IMAGES = 96;
const degrees = (most: number) => z.number().min(0).max(most);

const options = z.object({
  styles: z.array(z.string().min(1)).min(1).optional().describe("Names of styles; photo unless split is given"),
  split: z.enum(["train", "test", "all"]).optional()
    .describe(
      "Styles of the folder instead of a list: train and test are all but photo, by split in the style's file",
    ),
  styles_dir: z.string().min(1).default("pipelines/styles").describe("Folder of the style files"),
  count: z.int().min(1).max(1_000_000).optional().describe("Number of images, styles in turn"),
  per_style: z.int().min(1).max(100_000).optional().describe("Images of each style, instead of count"),
  size_px: z.int().min(16).max(1024).default(64).describe("Side of the images"),
  people: z.enum(["train", "test"]).default("train").describe("Identities: train and test share none"),
  identities: z.int().min(1).optional().describe("Different people; one for each image unless given"),
  first_identity: z.int().min(0).default(0).describe("Number of the first of these people"),
  yaw_deg: degrees(45).default(DEFAULT_POSE.yaw_deg).describe("How far heads turn to the sides"),
  pitch_deg: degrees(25).default(DEFAULT_POSE.pitch_deg).describe("How far heads nod"),
  roll_deg: degrees(45).default(DEFAULT_POSE.roll_deg).describe("How far heads tilt"),
}).refine(({ styles, split }) => !(styles && split), { error: "give styles or split, not both", path: ["split"] })
  .refine(({ count, per_style }) => (count === undefined) !== (per_style === undefined), {
    error: "give count or per_style, one of them",
    path: ["count"],
  });

/** Files of the styles that are asked for. */
function chosenFiles({ styles, split, styles_dir }: z.output<typeof options>): string[] {
  return split ? styleFiles(styles_dir, split) : (styles ?? ["photo"]).map((name) => `${styles_dir}/${name}.yaml`);
}

/** Images in all; one of `count` and `per_style` is given. */
function imageCount(given: z.output<typeof options>): number {
  return given.count ?? given.per_style! * chosenFiles(given).length;
}

/** `faces/render`: the data that the built-in pipelines start from. */
export const renderStage = stage({
  id: "faces/render",
  doc: "Draws faces with exact landmarks: parametric heads, as photographs and in styles.",
  version: 1,
  inputs: {},
  output: "dataset",
  options,
  files: chosenFiles,
  async check(given) {
    const styles = await Promise.all(chosenFiles(given).map(loadStyle)); // a wrong one is found here
    return [
      styles.length === 0 && { option: "split", reason: `${given.styles_dir} has no style of it` },
    ];
  },
  describeOutput: ({ size_px }) => ({ size_px }),
  cost: (given) => ({ images: imageCount(given) }),
  async run(ctx, _inputs, given) {
    const { size_px, people, first_identity } = given;
    const styles = await Promise.all(chosenFiles(given).map(loadStyle));
    const total = imageCount(given);
    const identities = given.identities ?? total;
    // People come from a seed of their own, so that one name is one face in every stage and pipeline.
    const persons = new Random(0, `faces/render.people.${people}`);
    const shots = new Random(ctx.seed, "faces/render.shots");
    const { gpu } = await ctx.device();
    using pool = new PicturePool(total * size_px ** 2);
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68, pool);
    // The GPU draws while the images before are written.
    let written: Promise<unknown> = Promise.resolve();
    const sheet: Image[] = [];
    const onSheet = Math.max(1, Math.floor(SHEET_IMAGES / styles.length));
    for (const [at, style] of styles.entries()) {
      const mine = Math.floor(total / styles.length) + (at < total % styles.length ? 1 : 0);
      for (let first = 0; first < mine; first += CHUNK) {
        ctx.signal.throwIfAborted();
        const before = writer.count;
        const identityOf = (index: number) => first_identity + index % identities;
        const heads = Array.from({ length: Math.min(CHUNK, mine - first) }, (_, i): HeadParams => ({
          person: samplePerson(persons.at(identityOf(before + i))),
          shot: sampleShot(shots.at(before + i), given),
        }));
        const faces = await renderFaces(gpu, heads, style.render, size_px);
        await written;
        written = Promise.all(faces.map(({ image, landmarks }, i) => {
          if (first + i < onSheet) sheet.push(image);
          const index = before + i;
          return writer.add(image, {
            style: style.style,
            group: `${people}-${identityOf(index)}`,
            landmarks,
            prompt: stylePrompt(style),
            source: style.name,
            seed: index,
          });
        }));
        written.catch(() => {}); // a failure is thrown where it is awaited
        ctx.progress(writer.count, total, { style: style.name });
      }
    }
    await written;
    await writer.close();
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet, Math.min(12, Math.max(onSheet, 4))));
    ctx.summary({ images: total, styles: styles.length, people: Math.min(identities, total) });
  },
});
