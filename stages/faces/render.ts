/**
 * Draws the embedded world: parametric heads in styles, with exact landmarks.
 *
 * @module
 */
import { z } from "zod";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { contactSheet } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import type { NewRecord } from "../../faces/data/dataset.ts";
import { PicturePool } from "../../faces/data/pool.ts";
import {
  DEFAULT_POSE,
  type HeadParams,
  PARTS,
  type PoseRange,
  type RenderedFace,
  renderFaces,
  samplePerson,
  sampleShot,
  WIDE_POSE,
  withoutParts,
} from "../../faces/render/render.ts";
import { loadStyle, type Style, styleFiles, stylePrompt, WILD } from "../../faces/render/styles.ts";
import { stageShot } from "../../faces/render/wild/shot.ts";
import { drawWildStyle } from "../../faces/render/wild/style.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { Random } from "../../engine/rng.ts";
import { exists, readText, writeAtomic } from "../../formats/files.ts";
import { itemAt } from "../../engine/lookup.ts";
import { type ShardContext, stage } from "../../runtime/stage.ts";

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
        return { head: { person, shot: stageShot(shot, render, draw, poseOf(given)) }, render };
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
  version: 5,
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
  async shard(ctx, _inputs, given, { index, count }) {
    const drawing = await Drawing.open(ctx, given);
    const mine = drawing.chunks.filter((_, k) => k % count === index);
    const total = mine.reduce((sum, { indices }) => sum + indices.length, 0);
    let done = 0;
    for (const chunk of mine) {
      ctx.signal.throwIfAborted();
      if (!drawing.isKept(chunk)) await drawing.keep(chunk, await drawing.draw(chunk));
      ctx.progress(done += chunk.indices.length, total, { style: chunk.style.name });
    }
  },
  async run(ctx, _inputs, given) {
    const { size_px } = given;
    const drawing = await Drawing.open(ctx, given);
    const { chunks, total, styles } = drawing;
    using pool = new PicturePool(total * size_px ** 2);
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68, { encoder: pool });
    // The GPU draws while the images before are written.
    let written: Promise<unknown> = Promise.resolve();
    const sheet: Image[] = [];
    const onSheet = Math.max(1, Math.floor(SHEET_IMAGES / styles));
    for (const chunk of chunks) {
      ctx.signal.throwIfAborted();
      const faces = drawing.isKept(chunk) ? await drawing.read(chunk) : await drawing.draw(chunk);
      await written;
      written = Promise.all(faces.map(({ image, landmarks }, i) => {
        if (chunk.first + i < onSheet) sheet.push(image);
        return writer.add(image, { ...drawing.recordOf(chunk, i), landmarks });
      }));
      written.catch(() => {}); // a failure is thrown where it is awaited
      ctx.progress(writer.count, total, { style: chunk.style.name });
    }
    await written;
    await writer.close();
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet, Math.min(12, Math.max(onSheet, 4))));
    ctx.summary({ images: total, styles, people: drawing.identities });
  },
});

/** Images that are drawn at once: of one style, with consecutive indices. */
interface Chunk {
  readonly style: DrawnStyle;
  /** The first one's place among those of its style. */
  readonly first: number;
  /** Indices among all images. */
  readonly indices: readonly number[];
}

/** The images of a stage, in chunks: drawn, or kept in the folder of work for another process. */
class Drawing {
  readonly #persons: Random;
  readonly #shots: Random;
  readonly #pose: PoseRange;
  /** Number of people. */
  readonly identities: number;

  private constructor(
    private readonly ctx: ShardContext,
    private readonly given: Options,
    /** Number of styles. */
    readonly styles: number,
    /** Number of images. */
    readonly total: number,
    readonly chunks: readonly Chunk[],
  ) {
    // People come from a seed of their own, so that one name is one face in every stage and pipeline.
    this.#persons = new Random(0, `faces/render.people.${given.people}`);
    this.#shots = new Random(ctx.seed, "faces/render.shots");
    this.#pose = poseOf(given);
    this.identities = Math.min(given.identities ?? total, total);
  }

  /** Reads the styles. */
  static async open(ctx: ShardContext, given: Options): Promise<Drawing> {
    const styles = await loadChosen(given, ctx.seed);
    const total = imageCount(given);
    const chunks: Chunk[] = [];
    let index = 0;
    for (const [at, style] of styles.entries()) {
      const mine = Math.floor(total / styles.length) + (at < total % styles.length ? 1 : 0);
      for (let first = 0; first < mine; first += CHUNK) {
        const indices = Array.from({ length: Math.min(CHUNK, mine - first) }, () => index++);
        chunks.push({ style, first, indices });
      }
    }
    return new Drawing(ctx, given, styles.length, total, chunks);
  }

  /** Draws a chunk. */
  async draw({ style, indices }: Chunk): Promise<RenderedFace[]> {
    const { without = [], size_px, landmarks } = this.given;
    const drawn = indices.map((index) => {
      const person = samplePerson(this.#persons.at(this.#identityOf(index)));
      const shot = sampleShot(this.#shots.at(index), this.#pose);
      return style.recipe(withoutParts({ person, shot }, without), index);
    });
    const { gpu } = await this.ctx.device();
    return await renderFaces(gpu, drawn.map(({ head }) => head), drawn.map(({ render }) => render), size_px, landmarks);
  }

  /** Everything about image `i` of a chunk but its landmarks. */
  recordOf({ style, indices }: Chunk, i: number): Omit<NewRecord, "landmarks"> {
    const index = itemAt(indices, i, "a chunk");
    return {
      style: style.style,
      group: `${this.given.people}-${this.#identityOf(index)}`,
      prompt: stylePrompt(style),
      source: style.name,
      seed: index,
    };
  }

  /** True if a chunk was drawn before, whole. */
  isKept({ indices }: Chunk): boolean {
    return indices.every((index) => exists(this.#pathOf(index, "json")));
  }

  /** Keeps a chunk for {@linkcode read}. */
  async keep({ indices }: Chunk, faces: readonly RenderedFace[]): Promise<void> {
    for (const [i, { image, landmarks }] of faces.entries()) {
      const index = itemAt(indices, i, "a chunk");
      await writePng(this.#pathOf(index, "png"), image);
      // Last: an image counts once its landmarks are there.
      writeAtomic(this.#pathOf(index, "json"), JSON.stringify([...landmarks]));
    }
  }

  /** Reads a chunk that was kept. */
  async read({ indices }: Chunk): Promise<RenderedFace[]> {
    return await Promise.all(indices.map(async (index) => ({
      image: await readImage(this.#pathOf(index, "png")),
      landmarks: Float32Array.from(JSON.parse(await readText(this.#pathOf(index, "json"))) as number[]),
    })));
  }

  #pathOf(index: number, ending: string): string {
    return `${this.ctx.work}/${String(index).padStart(6, "0")}.${ending}`;
  }

  #identityOf(index: number): number {
    return this.given.first_identity + index % (this.given.identities ?? this.total);
  }
}
