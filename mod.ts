/**
 * Facewright makes landmark detectors for faces that are not photographs: it draws or imports faces, trains a landmark
 * ControlNet on them, generates pairs of images and landmarks in many styles, and fine-tunes a detector on the pairs.
 *
 * This module is the library, and main.ts the program. The library reads and runs pipelines, takes stages of your own, and reads, edits, draws and measures landmarks:
 *
 * ```ts ignore
 * import { openDevice, readPipeline, runPipeline, silent, stage, stages } from "@facewright/facewright";
 *
 * const pipeline = await readPipeline("mine.yaml", { ...stages, "dataset/mine": () => Promise.resolve(mine) });
 * const { results } = await runPipeline(pipeline, { reporter: silent, openDevice });
 * ```
 *
 * @module
 */
export {
  type AnyStage,
  type Artifact,
  type ArtifactInfo,
  type Costs,
  type Field,
  type InputKind,
  type InputsOf,
  type InputSpec,
  type Kind,
  type OptionsSchema,
  type Row,
  type Stage,
  stage,
  type StageContext,
} from "./runtime/stage.ts";
export * from "./runtime/run/run.ts";
export { RunError, stageCosts } from "./runtime/run/costs.ts";
export { serveStages } from "./runtime/run/worker.ts";
export {
  type Pipeline,
  PipelineFileError,
  type PipelineStage,
  type ReadOptions,
  readPipeline,
  type Registry,
} from "./runtime/pipeline/file.ts";
export { type Contents, type Manifest, type Recipe, type StageState } from "./runtime/run/cache.ts";
export { type Diagnostic, PipelineError, type Place, type Source } from "./formats/yaml_tree.ts";
export {
  jsonReporter,
  type Output,
  type Reporter,
  reporterFor,
  type RunEvent,
  silent,
} from "./runtime/run/progress.ts";
export { type Device, type DeviceOptions, openDevice } from "./engine/device.ts";
export { type Tuned, type TunedKernels } from "./engine/tuning/tuning_cache.ts";
export { type Candidate, type KernelSelector } from "./engine/graph.ts";
export * from "./faces/data/annotations.ts";
export * from "./faces/data/dataset.ts";
export * from "./faces/draw.ts";
export * from "./faces/edits.ts";
export * from "./faces/data/image.ts";
export * from "./faces/landmarks.ts";
export * from "./faces/metrics.ts";
export * from "./faces/pts.ts";
export { stages } from "./stages/mod.ts";
