/**
 * Facewright makes landmark detectors for faces that are not photographs: it draws or imports faces, trains a landmark
 * ControlNet on them, generates pairs of images and landmarks in many styles, and fine-tunes a detector on the pairs.
 *
 * This module is the library; main.ts is the program. From the bottom up it has
 *
 * - the engine: {@linkcode Graph}, {@linkcode Executable}, {@linkcode Tensor}, {@linkcode openDevice}, {@linkcode Random}
 *   and the operations, {@linkcode ops};
 * - networks and their training: {@linkcode Scope}, {@linkcode Trainer}, {@linkcode unet}, {@linkcode controlnet},
 *   {@linkcode hourglass}, {@linkcode Sampler}, {@linkcode Detector};
 * - faces: landmarks, edits, drawing, metrics, datasets and images;
 * - pipelines and their stages: {@linkcode readPipeline}, {@linkcode runPipeline}, {@linkcode stage}.
 *
 * ```ts ignore
 * import { openDevice, readPipeline, runPipeline, silent, stage, stages } from "@facewright/facewright";
 *
 * const pipeline = await readPipeline("mine.yaml", { ...stages, "dataset/mine": () => Promise.resolve(mine) });
 * const { results } = await runPipeline(pipeline, { reporter: silent, openDevice });
 * ```
 *
 * docs/library.md trains a network on the GPU in 30 lines.
 *
 * @module
 */

// Engine
export * from "./engine/graph.ts";
export {
  type Adapter,
  type AdapterFacts,
  type AdapterRequest,
  chooseAdapters,
  listAdapters,
} from "./engine/adapters.ts";
export { type Device, DeviceLostError, type DeviceOptions, NoAdapterError, openDevice } from "./engine/device.ts";
export { Executable } from "./engine/executable.ts";
export type { NonFiniteResult } from "./engine/non_finite.ts";
export type { Parameters } from "./engine/prepare.ts";
export { type Dtype, readAll, Tensor } from "./engine/tensor.ts";
export { type Precision } from "./engine/plan/precision.ts";
export { type Budget, type Fetches, type PlanObserver, type Update } from "./engine/plan/records.ts";
export { Random, type RandomSource, type RandomState } from "./engine/rng.ts";
export { type TensorData } from "./formats/safetensors.ts";
export { ERROR_CODES, type ErrorCode, InputError, type InputErrorOptions } from "./formats/input_error.ts";
export * as ops from "./ops/mod.ts";

// Networks, their weights and their training
export {
  countParameters,
  createParameters,
  type HostTensors,
  type Init,
  initialise,
  ONES,
  type ParameterSpec,
  Scope,
  type Specs,
  uploadParameters,
  type WeightOptions,
  type Weights,
  ZEROS,
} from "./models/io/params.ts";
export { type LoadOptions, loadSafetensors, saveSafetensors } from "./models/io/parameter_files.ts";
export { type Inputs, NonFiniteLossError, stepFetches, Trainer, type TrainerSpec } from "./models/trainer.ts";
export * from "./models/lr_schedule.ts";
export * from "./models/optimizers.ts";
export {
  type AutoencoderConfig,
  codebookLoss,
  decodeLatent,
  divergence,
  encodeImage,
  encodeLatent,
  hasCodebook,
  latentChannels,
  type Posterior,
  quantise,
  type Quantised,
  sampleLatent,
} from "./models/diffusion/autoencoder.ts";
export {
  controlnet,
  type ControlNetConfig,
  controlnetConfigFor,
  type ControlOptions,
} from "./models/diffusion/controlnet.ts";
export {
  clipOf,
  Sampler,
  type SamplerFetches,
  samplerFetches,
  type SamplerSpec,
  type SampleRun,
} from "./models/diffusion/sampler.ts";
export type {
  MethodOptions,
  SamplerStep,
  SamplingMethod,
  Spacing,
  StepBuilder,
  StepResult,
} from "./models/diffusion/samplers/method.ts";
export { SAMPLER_NAMES, type SamplerName, SAMPLERS } from "./models/diffusion/samplers/registry.ts";
export {
  LATENT_SCHEDULE,
  makeSchedule,
  minSnrWeight,
  type NoiseLevel,
  noiseLevel,
  type Schedule,
  type ScheduleConfig,
  targetFactors,
  timesteps,
} from "./models/diffusion/schedule.ts";
export {
  attend,
  convolve,
  type ConvolveOptions,
  embedTime,
  normalise,
  normaliseTokens,
  project,
  resnet,
  type ResnetOptions,
  transformer,
  type TransformerOptions,
  upsample,
} from "./models/diffusion/layers.ts";
export { type EncoderConfig, type Residuals, unet, type UNetConfig, type UNetInputs } from "./models/diffusion/unet.ts";
export {
  type BatchOptions,
  Detector,
  detectorSpecs,
  loadDetector,
  type Prediction,
  readDetector,
  saveDetector,
  uncertainty,
} from "./models/detectors/detector.ts";
export {
  type Face,
  findFaces,
  findFacesOfEach,
  type FindFacesOptions,
  type Picture,
  type PlaceFinder,
} from "./models/detectors/find_faces.ts";
export type { LandmarkDetector } from "./models/detectors/face_passes.ts";
export {
  Finder,
  type FindOptions,
  type FoundFace,
  loadFinder,
  readFinder,
  saveFinder,
  searchSizes,
} from "./models/finder/finder.ts";
export { type FaceCandidate, type NetworkFace } from "./models/finder/decode.ts";
export { type FinderConfig } from "./models/finder/network.ts";
export { type PairCalibration } from "./models/finder/pair_score.ts";
export { type TurnWeights } from "./models/finder/turn_score.ts";
export { FaceTracker, type TrackedFace, type TrackOptions } from "./models/detectors/track_faces.ts";
export { hourglass, type HourglassConfig, hourglassLoss, type StackOutput } from "./models/detectors/hourglass.ts";
export {
  type DetectorConfig,
  detectorNetwork,
  type DetectorOutputs,
  detectorTargets,
  type DetectorTraining,
  detectorTraining,
  trainableNames,
} from "./models/detectors/registry.ts";
export type { Found, Trained } from "./models/detectors/network.ts";
export { fromStar, starBox, toStar } from "./models/detectors/star.ts";
export { STAR_SIZES, type StarDetectorConfig } from "./models/detectors/star_detector.ts";

// Faces
export {
  type AnnotationContext,
  type AnyFormat,
  type FaceToWrite,
  type ImageContext,
  type ImageFormat,
  type Lack,
  type ListedFace,
  type ListFormat,
  type WriteContext,
} from "./faces/data/annotations/format.ts";
export * from "./faces/data/annotations/registry.ts";
export * from "./faces/data/dataset.ts";
export * from "./faces/data/dataset_export.ts";
export * from "./faces/data/dataset_writer.ts";
export * from "./faces/data/face_folder.ts";
export * from "./faces/data/folder/account.ts";
export type { FolderOptions } from "./faces/data/folder/options.ts";
export { type PassedOver } from "./faces/data/folder_files.ts";
export { type Note, type NoteCode } from "./faces/data/index_file.ts";
export * from "./faces/data/image.ts";
export * from "./faces/data/image_file.ts";
export {
  IMAGE_FORMATS,
  type ImageFormatName,
  type ImageHeader,
  type Orientation,
  readImageHeader,
} from "./faces/data/image_header.ts";
export * from "./faces/data/split.ts";
export * from "./faces/draw.ts";
export { parseEdit, readEdits } from "./faces/edit_file.ts";
export * from "./faces/edits.ts";
export * from "./faces/landmarks.ts";
export * from "./faces/metrics.ts";
export * from "./faces/one_euro.ts";
export * from "./faces/place.ts";
export * from "./faces/pts.ts";
export {
  type Contour,
  convertLandmarks,
  DEFAULT_SCHEMA,
  type Dots,
  type LandmarkSchema,
  type SchemaName,
  SCHEMAS,
  type Span,
} from "./faces/schema.ts";

// Pipelines
export {
  type AnyInputs,
  type AnyOptions,
  type AnyStage,
  type Artifact,
  type ArtifactInfo,
  type Conflict,
  type Conflicts,
  type Costs,
  type Field,
  file,
  folder,
  type InputKind,
  type InputsOf,
  type InputSpec,
  type Kind,
  type OptionsSchema,
  type Row,
  type Shard,
  type ShardContext,
  type Stage,
  stage,
  type StageContext,
  type TextSchema,
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
export { type SourceOptions } from "./runtime/pipeline/source.ts";
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
export { type Tuned, type TunedKernels } from "./engine/tuning/tuning_cache.ts";
export { stages } from "./stages/mod.ts";
