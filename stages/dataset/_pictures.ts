/**
 * Images of pairs: generated, kept in the work folder, and regenerated where they do not fit their landmarks.
 *
 * @module
 */
import { counted } from "../../formats/numbers.ts";
import type { Image } from "../../faces/data/image.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { itemAt, lookUp } from "../../engine/lookup.ts";
import { Random } from "../../engine/rng.ts";
import { formatSeconds } from "../../runtime/run/progress.ts";
import { stylePrompt } from "../../faces/render/styles.ts";
import type { Artifact, ShardContext, StageContext } from "../../runtime/stage.ts";
import { align, robustZScore, styleStatistics } from "../lib/alignment.ts";
import type { Request } from "../lib/painting.ts";
import type { Pairs } from "./_pairs.ts";

/** Generator of images, at most a batch at once. */
export interface OpenGenerator extends Disposable {
  /** Generates an image for each request. */
  generate(requests: readonly Request[]): Promise<Image[]>;
}

/**
 * Images by number, in the work folder, so that a stop loses at most one batch.
 *
 * An image's number is that of its pair, of the first try, then `total` more for each other one; it is the seed of its
 * noise too.
 */
export class PictureStore implements Disposable {
  readonly #made: ReadonlySet<string>;
  #generator: OpenGenerator | undefined;

  private constructor(
    private readonly ctx: ShardContext,
    private readonly pairs: Pairs,
    private readonly open: () => Promise<OpenGenerator>,
    private readonly batch_size: number,
    made: ReadonlySet<string>,
  ) {
    this.#made = made;
  }

  /**
   * Finds the images of an earlier attempt.
   *
   * @param open Opens the networks, for the first image that is missing.
   */
  static async open(
    ctx: ShardContext,
    pairs: Pairs,
    open: () => Promise<OpenGenerator>,
    batch_size: number,
  ): Promise<PictureStore> {
    const made = new Set<string>();
    for await (const { name } of Deno.readDir(ctx.work)) if (name.endsWith(".png")) made.add(`${ctx.work}/${name}`);
    if (made.size) ctx.log(`there already: ${counted(made.size, "picture")}`);
    return new PictureStore(ctx, pairs, open, batch_size, made);
  }

  /** File of an image. */
  pathOf(picture: number): string {
    return `${this.ctx.work}/${String(picture).padStart(6, "0")}.png`;
  }

  /** Generates those of the given images that are not there. */
  async generate(pictures: readonly number[], fields: { doing?: string } = {}): Promise<void> {
    const { ctx, batch_size } = this;
    const missing = pictures.filter((picture) => !this.#made.has(this.pathOf(picture)));
    if (!missing.length) return;
    const generator = this.#generator ??= await this.open();
    const began = performance.now();
    let per_minute = 0;
    for (let first = 0; first < missing.length; first += batch_size) {
      ctx.signal.throwIfAborted();
      const now = missing.slice(first, first + batch_size);
      const images = await generator.generate(await Promise.all(now.map((picture) => this.#request(picture))));
      for (const [k, image] of images.entries()) {
        const path = this.pathOf(itemAt(now, k, "pictures"));
        await writePng(`${path}.tmp`, image);
        await Deno.rename(`${path}.tmp`, path);
      }
      const done = first + now.length;
      per_minute = Number((done / (performance.now() - began) * 60_000).toPrecision(3));
      ctx.progress(pictures.length - missing.length + done, pictures.length, { ...fields, per_minute });
    }
    const took = formatSeconds((performance.now() - began) / 1000);
    ctx.log(`${counted(missing.length, "picture")} in ${took}, ${per_minute} a minute`);
  }

  async #request(picture: number): Promise<Request> {
    const { pairs, ctx } = this;
    const index = picture % pairs.total;
    const mixture = pairs.mixtureOf(index);
    const pair = pairs.pair(index);
    // The record's prompt names both styles; the networks get each one's own.
    const ofEmbeddings = mixture && mixture.words === undefined && {
      prompt: stylePrompt(pairs.styleOf(index)),
      mixture: { prompt: stylePrompt(mixture.style), share: mixture.share },
    };
    return {
      ...pair,
      ...ofEmbeddings,
      image: await pairs.imageOf(index) ?? undefined,
      schema: pairs.schema,
      negative_prompt: pairs.styleOf(index).negative_prompt,
      random: new Random(ctx.seed, "dataset/generate.noise").at(picture),
    };
  }

  /** Frees the networks. */
  [Symbol.dispose](): void {
    this.#generator?.[Symbol.dispose]();
  }
}

/** Limits above which images are rejected, and retries. */
export interface RedrawOptions {
  readonly retries: number;
  readonly max_zscore: number;
  readonly max_nme?: number | undefined;
}

/**
 * Regenerates, with other noise, the images that do not fit their landmarks as judged by a detector.
 *
 * @returns `chosen`: number of the best image of each pair; `redrawn`: count of regenerated pairs; `doubtful`: count of
 *   those that still do not fit.
 */
export async function redrawRejected(
  ctx: StageContext,
  pairs: Pairs,
  store: PictureStore,
  { dir, stage }: Artifact,
  { retries, max_zscore, max_nme = Infinity }: RedrawOptions,
): Promise<{ chosen: readonly number[]; redrawn: number; doubtful: number }> {
  const { total, all, schema } = pairs;
  using scoringDetector = await loadDetector(await ctx.device(), dir);
  const score = async (pictures: readonly number[]) => {
    const read = async (picture: number) => ({
      image: await readImage(store.pathOf(picture)),
      landmarks: pairs.pair(picture % total).landmarks,
    });
    const { nme } = await align(scoringDetector, schema, pictures, read, (done) => {
      ctx.signal.throwIfAborted();
      ctx.progress(done, pictures.length, { doing: `measuring with ${stage}` });
    });
    return nme;
  };
  const first = await score(all);
  const styleOf = (index: number) => pairs.pair(index).style;
  // The statistics are those of the first tries: they must not get stricter as the worst ones are replaced.
  const statistics = styleStatistics(first, all.map(styleOf));
  /** The best try of each pair. */
  const best = Array.from(first, (nme, index) => ({ index, picture: index, nme }));
  const rejected = ({ index, nme }: typeof best[number]) =>
    robustZScore(nme, lookUp(statistics, styleOf(index), "styles")) > max_zscore || nme > max_nme;
  let doubtful = best.filter(rejected);
  const redrawn = doubtful.length;
  for (let retry = 1; retry <= retries && doubtful.length; retry++) {
    ctx.log(`${doubtful.length} of ${counted(total, "picture")} do not fit their landmarks, drawing them again`);
    const pictures = doubtful.map(({ index }) => index + retry * total);
    await store.generate(pictures, { doing: `drawing again, ${retry} of ${retries}` });
    for (const [k, nme] of (await score(pictures)).entries()) {
      const pair = itemAt(doubtful, k, "pairs in doubt");
      if (nme < pair.nme) Object.assign(pair, { nme, picture: pair.index + retry * total });
    }
    doubtful = doubtful.filter(rejected);
  }
  if (doubtful.length) {
    ctx.log(`the best of ${retries + 1} tries is kept of ${counted(doubtful.length, "picture")}, though none fits`);
  }
  return { chosen: best.map(({ picture }) => picture), redrawn, doubtful: doubtful.length };
}
