/**
 * All stage types. Each is loaded when a pipeline uses it, so that a command pays only for what it needs.
 *
 * @module
 */
import type { Registry } from "../runtime/pipeline/file.ts";

/** Stage types by id. */
export const stages: Registry = {
  "autoencoder/train": async () => (await import("./autoencoder/train.ts")).trainAutoencoder,
  "dataset/distance": async () => (await import("./dataset/distance.ts")).datasetDistance,
  "dataset/generate": async () => (await import("./dataset/generate.ts")).generatePairs,
  "dataset/import": async () => (await import("./dataset/import.ts")).importFaces,
  "dataset/merge": async () => (await import("./dataset/merge.ts")).mergeDatasets,
  "dataset/propose": async () => (await import("./dataset/propose.ts")).proposeLandmarks,
  "dataset/review": async () => (await import("./dataset/review.ts")).reviewPairs,
  "dataset/split": async () => (await import("./dataset/split.ts")).splitDataset,
  "detector/average": async () => (await import("./detector/average.ts")).averageDetectors,
  "detector/compare": async () => (await import("./detector/compare.ts")).compareDetectors,
  "detector/detect": async () => (await import("./detector/detect.ts")).detectLandmarks,
  "detector/errors": async () => (await import("./detector/errors.ts")).learnErrors,
  "detector/evaluate": async () => (await import("./detector/evaluate.ts")).evaluateDetectors,
  "detector/load": async () => (await import("./detector/load.ts")).loadDetectorStage,
  "detector/train": async () => (await import("./detector/train.ts")).trainDetector,
  "diffusion/pretrain": async () => (await import("./diffusion/pretrain.ts")).pretrainDiffusion,
  "diffusion/train": async () => (await import("./diffusion/train.ts")).trainDiffusion,
  "faces/render": async () => (await import("./faces/render.ts")).renderStage,
  "finder/calibrate": async () => (await import("./finder/calibrate.ts")).calibrateFinder,
  "finder/evaluate": async () => (await import("./finder/evaluate.ts")).evaluateFinder,
  "finder/load": async () => (await import("./finder/load.ts")).loadFinderStage,
  "finder/pictures": async () => (await import("./finder/pictures.ts")).measurePictures,
  "finder/train": async () => (await import("./finder/train.ts")).trainFinder,
  "model/export": async () => (await import("./model/export.ts")).exportModel,
  "model/load": async () => (await import("./model/load.ts")).modelLoad,
  "report/html": async () => (await import("./report/html.ts")).report,
};
