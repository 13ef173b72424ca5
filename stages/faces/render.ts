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
import {
  DEFAULT_POSE,
  type HeadParams,
  PARTS,
  type PoseRange,
  renderFaces,
  samplePerson,
  sampleShot,
  WIDE_POSE,
  withoutParts,
} from "../../faces/render/render.ts";
import { loadStyle, type Style, styleFiles, stylePrompt, WILD } from "../../faces/render/styles.ts";
import { drawWildStyle, turnWidely } from "../../faces/render/wild_style.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { Random } from "../../engine/rng.ts";
import { stage } from "../../runtime/stage.ts";

/** Images between two checks of the signal. */
const CHUNK = 32;
const SHEET_IMAGES = 96;
const degrees = (axis: keyof typeof DEFAULT_POSE & `${string}_deg`, most: number, how: string) =>
  z.number().min(0).max(most).optional().describe(
    `${how}; ${DEFAULT_POSE[axis]} unless given, ${WIDE_POSE[axis]} with wide_poses`,
  );

const options = z.object({
  styles: z.array(z.string().min(1)).min(1).optional().describe(
    "Names of styles; by default photo, unless split is given. wild draws a recipe for each image from the whole space of " +
      "style files, between the folder's styles and beyond, without those to test on",
  ),
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
  wide_poses: z.boolean().default(false)
    .describe("Poses as in photographs at large: most heads are nearly frontal, some reach the limits"),
  yaw_deg: degrees("yaw_deg", 80, "How far heads turn to the sides"),
  pitch_deg: degrees("pitch_deg", 35, "How far heads nod"),
  roll_deg: degrees("roll_deg", 60, "How far heads tilt"),
  without: z.array(z.enum(PARTS)).optional().describe(
    "Parts of the world to leave out of the same images, to see what each is worth",
  ),
  landmarks: z.enum(["annotators", "anatomy"]).optional().describe(
    "annotators, unless given: where those of 300-W put landmarks; anatomy: at fixed heights of the jaw, the middle of " +
      "brows and the ends of lids, to see what the difference is worth",
  ),
}).refine(({ styles, split }) => !(styles && split), { error: "give styles or split, not both", path: ["split"] })
  .refine(({ count, per_style }) => (count === undefined) !== (per_style === undefined), {
    error: "give count or per_style, one of them",
    path: ["count"],
  });

type Options = z.output<typeof options>;

/** The styles that are asked for: paths of their files, or {@linkcode WILD}. */
function chosenStyles({ styles, split, styles_dir }: Options): string[] {
  if (split) return styleFiles(styles_dir, split);
  return (styles ?? ["photo"]).map((name) => name === WILD ? WILD : `${styles_dir}/${name}.yaml`);
}

/** Files of the styles that wild recipes are drawn near to: all but those to test on. */
function anchorFiles({ styles_dir }: Options): string[] {
  const test = new Set(styleFiles(styles_dir, "test"));
  return styleFiles(styles_dir, "all").filter((path) => !test.has(path));
}

/** Files that the styles are read from. */
function filesOf(given: Options): string[] {
  return [...new Set(chosenStyles(given).flatMap((path) => path === WILD ? anchorFiles(given) : [path]))];
}

/** A style to draw in: the same recipe for every image, or one for each. */
interface DrawnStyle extends Pick<Style, "name" | "style" | "prompt"> {
  /** Recipe of image `index`, and the head as this style shows it. */
  recipe(head: HeadParams, index: number): { readonly head: HeadParams; readonly render: Style["render"] };
}

/** Reads the styles that are asked for. */
async function loadChosen(given: Options, seed: number): Promise<DrawnStyle[]> {
  const random = new Random(seed, "faces/render.wild");
  const load = async (path: string): Promise<DrawnStyle> => {
    if (path !== WILD) {
      const style = await loadStyle(path);
      return { ...style, recipe: (head) => ({ head, render: style.render }) };
    }
    const anchors = (await Promise.all(anchorFiles(given).map(loadStyle))).map(({ render }) => render);
    return {
      name: WILD,
      style: WILD,
      prompt: "a portrait of {style} style",
      recipe({ person, shot }, index) {
        const draw = random.at(index);
        const render = drawWildStyle(draw, anchors);
        return { head: { person, shot: turnWidely(shot, draw, poseOf(given)) }, render };
      },
    };
  };
  return await Promise.all(chosenStyles(given).map(load));
}

/** Range of the poses. */
function poseOf(given: Options): PoseRange {
  const range = given.wide_poses ? WIDE_POSE : DEFAULT_POSE;
  const { yaw_deg = range.yaw_deg, pitch_deg = range.pitch_deg, roll_deg = range.roll_deg } = given;
  return { yaw_deg, pitch_deg, roll_deg, heavy: given.wide_poses };
}

/** Images in all; one of `count` and `per_style` is given. */
function imageCount(given: Options): number {
  return given.count ?? given.per_style! * chosenStyles(given).length;
}

/** `faces/render`: the data that the built-in pipelines start from. */
export const renderStage = stage({
  id: "faces/render",
  doc: "Draws faces with exact landmarks: parametric heads, as photographs and in styles.",
  version: 2,
  inputs: {},
  output: "dataset",
  options,
  files: filesOf,
  async check(given) {
    await Promise.all(filesOf(given).map(loadStyle)); // a wrong one is found here
    const styles = chosenStyles(given).length;
    return [
      styles === 0 && { option: "split", reason: `${given.styles_dir} has no style of it` },
    ];
  },
  describeOutput: ({ size_px }) => ({ size_px }),
  cost: (given) => ({ images: imageCount(given) }),
  async run(ctx, _inputs, given) {
    const { size_px, people, first_identity, without = [], landmarks: convention } = given;
    const styles = await loadChosen(given, ctx.seed);
    const total = imageCount(given);
    const identities = given.identities ?? total;
    // People come from a seed of their own, so that one name is one face in every stage and pipeline.
    const persons = new Random(0, `faces/render.people.${people}`);
    const pose = poseOf(given);
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
        const drawn = Array.from({ length: Math.min(CHUNK, mine - first) }, (_, i) =>
          style.recipe(
            withoutParts({
              person: samplePerson(persons.at(identityOf(before + i))),
              shot: sampleShot(shots.at(before + i), pose),
            }, without),
            before + i,
          ));
        const heads = drawn.map(({ head }) => head), renders = drawn.map(({ render }) => render);
        const faces = await renderFaces(gpu, heads, renders, size_px, convention);
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
