/**
 * Facewright makes landmark detectors for faces that are not photographs: it draws or imports faces, trains a landmark
 * ControlNet on them, generates pairs of images and landmarks in many styles, and fine-tunes a detector on the pairs.
 *
 * Run as a program it is the command line:
 *
 * ```sh
 * deno task run pipelines/full.yaml
 * ```
 *
 * As a library it reads and runs pipelines, takes stages of your own, and reads, edits, draws and measures landmarks:
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
import { type Commands, main, one, parse, pipelineCommands, print } from "./cli/main.ts";
import { stages } from "./stages/mod.ts";

export {
  type AnyStage,
  type Artifact,
  type Costs,
  type Expected,
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
export { PipelineError, type Place, type Problem, type Source } from "./formats/yaml_tree.ts";
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
export { stages };

const commands: Commands = {
  ...pipelineCommands(stages, new URL("./stages/lib/stage_worker.ts", import.meta.url)),
  doctor: {
    usage: "",
    doc: "Prints the adapter and runs known-answer kernels on it.",
    run: async () => (await import("./cli/doctor.ts")).doctor(print),
  },
  golden: {
    usage: "DIR [--filter TEXT]",
    doc: "Holds networks, schedules, losses and metrics to the golden numbers in a folder.",
    async run(args) {
      const options = { filter: { type: "string" } } as const;
      const { values, positionals } = parse({ args, options, allowPositionals: true });
      const dir = one(positionals, "folder of golden cases");
      return (await import("./cli/golden/main.ts")).runGolden(dir, { ...values, print });
    },
  },
  detect: {
    usage: "IMAGE|FOLDER… --detector DIR [--box X,Y,W,H | --boxes FILE | --crop none] [--flip] [--out DIR]",
    doc: "Finds landmarks in pictures: a JSON line each, and with --out a .pts file and an overlay. Without a box it " +
      "searches for the face, which is approximate.",
    run: async (args) => (await import("./cli/detect.ts")).detect(args, print),
  },
  export: {
    usage: "--detector DIR --format onnx|star --out PATH",
    doc: "Writes a detector for other programs.",
    run: async (args) => (await import("./cli/export.ts")).exportDetector(args, print),
  },
  score: {
    usage: "(--detector [NAME=]DIR | --predicted [NAME=]DIR)… --data DIR [--origin 0|1] [--crop none|landmarks] " +
      "[--normaliser interocular|interpupil|box_diagonal] [--thresholds N,…] [--flip] [--json] [--out DIR]",
    doc: "Scores detectors, and other tools' .pts files, on images with .pts files beside them: a JSON line of one, " +
      "tables of several side by side; with --out error curves too.",
    run: async (args) => (await import("./cli/score.ts")).score(args, print),
  },
  convert: {
    usage: "IN OUT [--dtype f16|f32] [--config FILE] [--tokenizer DIR] [--ema]",
    doc:
      "Turns a checkpoint (.ckpt, .pth, .bin, .pkl, .safetensors, a folder) into a folder in the layout of diffusers.",
    run: async (args) => (await import("./cli/convert.ts")).convert(args, print),
  },
  watch: {
    usage: "DIR [--port PORT]",
    doc: "Serves a page that follows the run in a folder, to this machine only.",
    run: async (args) => (await import("./cli/watch.ts")).watch(args, print),
  },
  tune: {
    usage: "[FILE] [--set KEY=VALUE]… [--only STAGE] [--percent NUMBER] [--again] [--json]",
    doc:
      "Finds the fastest kernels for a pipeline on this adapter, pipelines/full.yaml unless told otherwise; run uses " +
      "them from then on. Those are timed that do 80 % of the arithmetic, or --percent; --again times them once more.",
    run: async (args) => (await import("./cli/tune.ts")).tune(args, stages, print),
  },
  bench: {
    usage: "[--only PATTERN] [--peers] [--json] | --soak [--json] | --full-size",
    doc: "Times kernels and whole steps as shares of what the adapter can do, or with --peers as multiples of what " +
      "other engines do; the memory of 1,000 training steps; a prediction of Stable Diffusion v1.",
    run: async (args) => (await import("./cli/bench.ts")).bench(args, print),
  },
};

// Exit at once: the driver's threads may outlive the work.
if (import.meta.main) Deno.exit(await main(Deno.args, commands));
