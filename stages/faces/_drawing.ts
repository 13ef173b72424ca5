/**
 * The images of `faces/render`, in chunks: people and shots at their places, drawn on the GPU.
 *
 * @module
 */
import { itemAt } from "../../engine/lookup.ts";
import { Random } from "../../engine/rng.ts";
import type { NewRecord } from "../../faces/data/dataset.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import {
  type PoseRange,
  type RenderedFace,
  renderFaces,
  samplePerson,
  sampleShot,
  withoutParts,
} from "../../faces/render/render.ts";
import { stylePrompt } from "../../faces/render/styles.ts";
import { exists, readText, writeAtomic } from "../../formats/files.ts";
import type { ShardContext } from "../../runtime/stage.ts";
import { type Options, poseOf } from "./_options.ts";
import { type DrawnStyle, imageCount, loadChosen } from "./_styles.ts";

/** Images between two checks of the signal. */
const CHUNK = 32;

/** Images that are drawn at once: of one style, with consecutive indices. */
export interface Chunk {
  readonly style: DrawnStyle;
  /** The first one's place among those of its style. */
  readonly first: number;
  /** Indices among all images. */
  readonly indices: readonly number[];
}

/** The images of a stage, in chunks: drawn, or kept in the folder of work for another process. */
export class Drawing {
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
