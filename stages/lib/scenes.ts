/**
 * Scenes of the stages of finders: datasets of rendered faces as their parts, and what a finder finds in them.
 *
 * @module
 */

import type { Faces, LoadedDataset } from "../../faces/data/dataset.ts";
import { drawLine } from "../../faces/draw.ts";
import type { Colour, Image } from "../../faces/data/image.ts";
import { type FacePlace, facePlace } from "../../faces/place.ts";
import { composeScene, type Scene, sceneImage, type SceneOptions } from "../../faces/scenes/scene.ts";
import type { Detector } from "../../models/detectors/detector.ts";
import { findFacesOfEach, type FindFacesOptions, type PlaceFinder } from "../../models/detectors/find_faces.ts";
import type { FaceCandidate } from "../../models/finder/decode.ts";
import type { Evidence } from "../../models/finder/evidence.ts";
import type { Finder } from "../../models/finder/finder.ts";
import { logitOf } from "../../models/finder/logistic.ts";
import { judge, type Judgement } from "../../models/finder/measure.ts";
import { Random } from "../../engine/rng.ts";
import type { Artifact, Conflicts } from "../../runtime/stage.ts";
import { schemaNameOf } from "./artifacts.ts";
import { ifKnown } from "./checks.ts";
import { loadFaces } from "./faces.ts";

/** Schema of the landmarks that the place of a face is known by. */
const SCHEMA = "ibug68";

/** Datasets whose faces have landmarks of another schema. */
export async function sceneConflicts(data: readonly Artifact[], input: string): Promise<Conflicts> {
  const names = await Promise.all(data.map((artifact) => ifKnown(() => schemaNameOf([artifact]))));
  const other = names.findIndex((name) => name !== undefined && name !== SCHEMA);
  return [
    other >= 0 && {
      input,
      reason: `the landmarks of "${data[other]!.stage}" are of ${
        names[other]
      }, and places of faces are known by ${SCHEMA}`,
    },
  ];
}

/** Datasets in memory, and the weight of each. */
export async function loadParts(
  data: readonly Artifact[],
  data_weights: readonly number[] | undefined,
): Promise<{ datasets: LoadedDataset[]; weights: readonly number[] }> {
  const datasets = await Promise.all(data.map((artifact) => loadFaces([artifact])));
  return { datasets, weights: data_weights ?? datasets.map(({ records }) => records.length) };
}

/** Options of {@linkcode scenes}. */
export interface ScenesOptions extends SceneOptions {
  /** Seed of all. */
  readonly seed: number;
  /** Their number. */
  readonly count: number;
  /** Number of the first that is composed; by default 0. */
  readonly first?: number;
  /** Share of scenes of clutter alone, without faces or spoilt ones, spread evenly over the others; by default 0. */
  readonly clutter?: number;
}

/** A scene with its image. */
export interface DrawnScene extends Scene {
  readonly image: Image;
}

/** Scenes that are composed one after the other, each a function of the options and its number alone. */
export function* scenes(
  datasets: readonly Faces[],
  weights: readonly number[],
  { seed, count, first = 0, clutter = 0, ...options }: ScenesOptions,
): Generator<DrawnScene> {
  const random = new Random(seed, "finder/scenes");
  for (let k = first; k < first + count; k++) {
    const alone = Math.floor((k + 1) * clutter) > Math.floor(k * clutter);
    const kind = alone ? { ...options, empty: 1, spoilt: false } : options;
    const scene = composeScene(datasets, weights, random.at(k), kind);
    yield { ...scene, image: sceneImage(scene, options.side) };
  }
}

/** Logit from which candidates are judged. */
export const LEAST_LOGIT = -5;

/** Judges what a finder finds in scenes, with each scene as it comes. */
export async function* judgeScenes(
  finder: Finder,
  all: Iterable<DrawnScene>,
): AsyncGenerator<readonly [scene: DrawnScene, judgement: Judgement]> {
  for (const scene of all) yield [scene, judge(await finder.candidates(scene.image, LEAST_LOGIT), scene.faces)];
}

/** A face that a detector has looked at: the place of its landmarks, and the logit of its score. */
export interface SeenFace extends FaceCandidate, Evidence {
  /** Its score. */
  readonly score: number;
}

/** Judges what a finder and a detector find in scenes, with each scene as it comes. */
export async function* judgeFaces(
  finder: PlaceFinder,
  detector: Detector,
  all: Iterable<DrawnScene>,
  options: FindFacesOptions,
): AsyncGenerator<readonly [scene: DrawnScene, judgement: Judgement<SeenFace>]> {
  for await (const [scene, found] of findFacesOfEach(finder, detector, all, ({ image }) => ({ image }), options)) {
    const seen = found.map(({ landmarks, score, doubt, features }): SeenFace => {
      if (score === null) throw new RangeError("Cannot judge a face whose place was given");
      return {
        ...facePlace(landmarks, detector.schema),
        logit: logitOf(score),
        score,
        doubt,
        ...(features && { features }),
      };
    });
    yield [scene, judge(seen, scene.faces)];
  }
}

/** Draws the turned square of a face, with a line from its middle to its upper side. */
export function drawPlace(image: Image, { x, y, side, angle }: FacePlace, colour: Colour): void {
  const cos = Math.cos(angle) * side / 2, sin = Math.sin(angle) * side / 2;
  const at = (u: number, v: number) => [x + u * cos - v * sin, y + u * sin + v * cos] as const;
  const corners = [at(-1, -1), at(1, -1), at(1, 1), at(-1, 1)] as const;
  const width = Math.max(1, side / 40);
  for (const [k, from] of corners.entries()) drawLine(image, ...from, ...corners[(k + 1) % 4]!, width, colour);
  drawLine(image, x, y, ...at(0, -1), width, colour);
}
