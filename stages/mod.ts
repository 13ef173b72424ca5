/**
 * All stage types. Each is loaded when a pipeline uses it, so that a command pays only for what it needs.
 *
 * @module
 */
import type { Registry } from "../runtime/pipeline_file.ts";

/** Stage types by id. */
export const stages: Registry = {
  "autoencoder/train": async () => (await import("./autoencoder_train.ts")).trainAutoencoder,
  "dataset/generate": async () => (await import("./generate.ts")).generatePairs,
  "dataset/import": async () => (await import("./import.ts")).importFaces,
  "dataset/merge": async () => (await import("./merge.ts")).mergeDatasets,
  "dataset/review": async () => (await import("./review.ts")).reviewPairs,
  "dataset/split": async () => (await import("./split.ts")).splitDataset,
  "detector/average": async () => (await import("./detector_average.ts")).averageDetectors,
  "detector/compare": async () => (await import("./detector_compare.ts")).compareDetectors,
  "detector/detect": async () => (await import("./detector_detect.ts")).detectLandmarks,
  "detector/evaluate": async () => (await import("./detector_evaluate.ts")).evaluateDetectors,
  "detector/load": async () => (await import("./detector_load.ts")).loadDetectorStage,
  "detector/train": async () => (await import("./detector_train.ts")).trainDetector,
  "diffusion/pretrain": async () => (await import("./diffusion_pretrain.ts")).pretrainDiffusion,
  "diffusion/train": async () => (await import("./diffusion_train.ts")).trainDiffusion,
  "faces/render": async () => (await import("./render.ts")).renderStage,
  "model/export": async () => (await import("./model_export.ts")).exportModel,
  "model/load": async () => (await import("./model_load.ts")).modelLoad,
  "report/html": async () => (await import("./report.ts")).report,
};
