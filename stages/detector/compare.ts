/**
 * Compares the arms of an ablation: detectors, or datasets, that a matrix made of one stage count as one.
 *
 * @module
 */

import { z } from "zod";
import { failureRate, nmePerImage, type Normaliser } from "../../faces/metrics.ts";
import { convertLandmarks } from "../../faces/schema.ts";
import { mean } from "../../faces/statistics.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { itemAt, lookUp } from "../../engine/lookup.ts";
import { Random } from "../../engine/rng.ts";
import { type Artifact, type Field, stage, type StageContext } from "../../runtime/stage.ts";
import { detectorsConflicts } from "../lib/checks.ts";
import { loadFaces, rates } from "../lib/faces.ts";
import { flipOption, normaliserOption } from "./_options.ts";

const DRAWS = 1000;

/** `detector/compare`: rows of means over runs, each with its change from the first arm on the same images. */
export const compareDetectors = stage({
  id: "detector/compare",
  doc: "Measures detectors of several runs on datasets: means over the runs, 95 % intervals over images and runs.",
  version: 2,
  inputs: { "detectors*": "detector", "data*": "dataset" },
  output: "table",
  options: z.object({
    normaliser: normaliserOption,
    threshold: z.number().positive().default(10).describe("Error above which a face counts as a failure, percent"),
    flip: flipOption,
  }),
  check: async (_options, { detectors, data }) => await detectorsConflicts(detectors, data),
  async run(ctx, { detectors, data }, { normaliser, threshold, flip }) {
    const arms = armsOf(detectors), sets = armsOf(data);
    const measured = await measure(ctx, detectors, data, { normaliser, flip });
    const rows: Record<string, Field>[] = [];
    for (const [dataset, sources] of sets) {
      let baseline: Float64Array | undefined;
      for (const [detector, runs] of arms) {
        const own = sources.map((source): Source => {
          const { groups, errors } = lookUp(measured, source, "datasets measured");
          return { groups, runs: runs.map((run) => lookUp(errors, run, "detectors measured")) };
        });
        const draws = bootstrap(
          own,
          new Random(ctx.seed, `detector/compare.images.${dataset}`),
          new Random(ctx.seed, `detector/compare.runs.${detector}`),
        );
        baseline ??= draws;
        const row = { detector, dataset, ...statistics(own, draws, baseline, { normaliser, threshold }) };
        rows.push(row);
        ctx.summary(row);
      }
    }
    await Deno.writeTextFile(`${ctx.dir}/results.json`, JSON.stringify({ rows }, null, 1) + "\n");
  },
});

/** Errors of detectors on a dataset. */
interface Measured {
  /** Group of each image. */
  readonly groups: readonly string[];
  /** `[image]` by stage of the detector. */
  readonly errors: Map<string, Float64Array>;
}

/** Measures every detector on every dataset; the result is by stage of the dataset. */
async function measure(
  ctx: StageContext,
  detectors: readonly Artifact[],
  data: readonly Artifact[],
  { normaliser, flip }: { readonly normaliser: Normaliser; readonly flip: boolean },
): Promise<ReadonlyMap<string, Measured>> {
  const device = await ctx.device(), measured = new Map<string, Measured>();
  let done = 0;
  for (const { dir, stage } of detectors) {
    using network = await loadDetector(device, dir);
    for (const artifact of data) {
      ctx.signal.throwIfAborted();
      const faces = await loadFaces([artifact]);
      const { landmarks } = await network.predict(faces.images, faces.size_px, { flip });
      const found = convertLandmarks(landmarks, network.schema, faces.schema);
      const { groups, errors } = measured.get(artifact.stage) ??
        { groups: faces.records.map(({ group }) => group), errors: new Map<string, Float64Array>() };
      measured.set(artifact.stage, { groups, errors });
      errors.set(stage, nmePerImage(found, faces.landmarks, faces.schema, { normaliser }));
      ctx.progress(++done, detectors.length * data.length);
    }
  }
  return measured;
}

/** Stages by the name that they have in the file: `train@seed=1` and `train@seed=2` are both `train`. */
function armsOf(artifacts: readonly Artifact[]): Map<string, string[]> {
  const arms = new Map<string, string[]>();
  for (const { stage } of artifacts) {
    const name = stage.replace(/@.*$/s, "");
    arms.set(name, [...arms.get(name) ?? [], stage]);
  }
  return arms;
}

/** A dataset's images, and their errors in each run of an arm. */
interface Source {
  /** Group of each image. */
  readonly groups: readonly string[];
  /** `[run][image]`. */
  readonly runs: readonly Float64Array[];
}

/** The columns of an arm on a dataset; `draws` are its bootstrap means, `baseline` those of the first arm. */
function statistics(
  sources: readonly Source[],
  draws: Float64Array,
  baseline: Float64Array,
  { normaliser, threshold }: { readonly normaliser: Normaliser; readonly threshold: number },
): Record<string, Field> {
  const runs = itemAt(sources, 0, "datasets").runs.length;
  const cells = Array.from({ length: runs }, (_, run) => sources.map((source) => source.runs[run]!)).flat();
  const failures = cells.map((cell) => failureRate(cell, threshold)), each = cells.map(mean);
  const changes = draws.map((value, k) => 100 * (value / baseline[k]! - 1));
  // An interval of one group would say nothing about others.
  const several = new Set(sources.flatMap(({ groups }) => groups)).size > 1;
  const [nme_low, nme_high] = several ? interval(draws) : [null, null];
  const [change_low, change_high] = several ? interval(changes) : [null, null];
  return {
    runs: cells.length,
    images: sources.reduce((count, { groups }) => count + groups.length, 0),
    [`nme_${normaliser}`]: mean(each),
    ...rates([{ threshold, fr: mean(failures.map(({ fr }) => fr)), auc: mean(failures.map(({ auc }) => auc)) }]),
    nme_low,
    nme_high,
    lowest_run: Math.min(...each),
    highest_run: Math.max(...each),
    change_low,
    change_high,
  };
}

/**
 * Means of drawn datasets, images and runs. Images of a group are drawn together.
 *
 * @param images Draws datasets and groups of images: the same for every arm, so that arms can be compared draw by draw.
 * @param runs Draws runs.
 * @returns `[1000]`.
 *
 * Source: Davison & Hinkley 1997, Bootstrap Methods and their Application, section 3.8 (hierarchical data).
 */
function bootstrap(sources: readonly Source[], images: Random, runs: Random): Float64Array {
  const totals = sources.map(({ groups, runs }) => {
    const byGroup = [...Map.groupBy(groups.entries(), ([, group]) => group).values()];
    return byGroup.map((own) => ({
      count: own.length,
      sums: runs.map((errors) => own.reduce((sum, [image]) => sum + errors[image]!, 0)),
    }));
  });
  const drawn = <T>(list: readonly T[], random: Random) =>
    list.map(() => itemAt(list, random.int(list.length), "items to draw from"));
  const runNumbers = [...itemAt(sources, 0, "datasets").runs.keys()];
  return Float64Array.from({ length: DRAWS }, () => {
    const chosen = drawn(runNumbers, runs);
    let sum = 0, count = 0;
    for (const source of drawn(totals, images)) {
      for (const group of drawn(source, images)) {
        for (const run of chosen) sum += group.sums[run]!;
        count += group.count * chosen.length;
      }
    }
    return sum / count;
  });
}

/** The middle 95 % of draws. */
function interval(draws: Float64Array): [number, number] {
  const sorted = draws.toSorted();
  const at = (quantile: number) => sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]!;
  return [at(0.025), at(0.975)];
}
