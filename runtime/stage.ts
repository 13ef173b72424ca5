/**
 * Stage types: a spec that is data, and a `run`. The same spec gives validation, types, `--help` and docs.
 *
 * @module
 */
import { lookUp } from "../engine/lookup.ts";
import type { Device } from "../engine/device.ts";
import type { PlanObserver } from "../engine/plan/records.ts";

/** Kind of an artifact. */
export type Kind = "dataset" | "model" | "detector" | "finder" | "table" | "report";

/** Kind that an input takes; `any` takes every kind. */
export type InputKind = Kind | "any";

/** The finished folder of another stage. */
export interface Artifact {
  /** Folder, absolute. */
  readonly dir: string;
  /** Id of the stage that wrote it. */
  readonly stage: string;
  /** Describes the artifact while it is not made, as in a plan. */
  readonly info?: () => Promise<ArtifactInfo>;
}

/** Description of an artifact before it is made: `size_px` of a dataset, `networks` of a model. */
export type ArtifactInfo = Readonly<Record<string, unknown>>;

/** Inputs by name: `name` must be given, `name?` may be left out, `name*` is a list of one or more stages. */
export type InputSpec = Readonly<Record<string, InputKind>>;

/** The inputs as `run` gets them: `Artifact`, `Artifact | undefined` for `name?`, `Artifact[]` for `name*`. */
export type InputsOf<I extends InputSpec> =
  & { readonly [K in keyof I as K extends `${string}${"?" | "*"}` ? never : K]: Artifact }
  & { readonly [K in keyof I as K extends `${infer N}?` ? N : never]: Artifact | undefined }
  & { readonly [K in keyof I as K extends `${infer N}*` ? N : never]: readonly Artifact[] };

/** A value of a metric, a progress field or a summary row. */
export type Field = number | string | boolean | null;

/** A row of results. */
export type Row = Readonly<Record<string, Field>>;

/** Context of a running stage. */
export interface StageContext {
  /** The stage's id in the pipeline. */
  readonly id: string;
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** Folder of the artifact, empty at the start; renamed into place when `run` resolves. */
  readonly dir: string;
  /** Kept across restarts as long as options and inputs are the same: checkpoints go here. Removed when the stage is done. */
  readonly work: string;
  /** Seed of the stage, from the pipeline's seed and the stage's id. */
  readonly seed: number;
  /** Aborted by Ctrl-C and SIGTERM: finish the step, write a checkpoint to `work`, then `signal.throwIfAborted()`. */
  readonly signal: AbortSignal;
  /** The GPU, opened at the first call and shared by the stages of a run; those that go on side by side have one each. */
  device(): Promise<Device>;
  /** Reports progress; `fields` such as the loss are shown next to the bar. */
  progress(done: number, total: number, fields?: Readonly<Record<string, Field>>): void;
  /** Appends one JSON line to `metrics.jsonl`. */
  metric(record: Readonly<Record<string, Field>> & { readonly step: number }): void;
  /** Call before the first `metric` when going on from a checkpoint at `step`: keeps the lines up to that step, drops the rest. */
  resumeMetrics(step: number): void;
  /** Prints one line, and keeps it in the manifest's log. */
  log(line: string): void;
  /** Adds a row to the manifest. A row with a `detector` is a result: it goes to `summary.json` with the stage's id in front. */
  summary(record: Readonly<Record<string, Field>>): void;
}

/** One of `count` parts of a stage's work, by its number from 0. */
export interface Shard {
  /** Its number. */
  readonly index: number;
  /** Number of parts. */
  readonly count: number;
}

/** Context of a part of a stage's work: it writes to `work` alone, where those that make the other parts write, too. */
export type ShardContext = Omit<StageContext, "dir" | "metric" | "resumeMetrics" | "summary">;

/**
 * Cost of a run of a stage, for `plan`: each name ends in its unit, such as `parameters`, `gpu_bytes` or `step_flops`,
 * so that it is printed as people read it.
 *
 * It is computed without a GPU and nothing is written. A folder of `inputs` may not be there yet: let `Deno.errors.NotFound`
 * pass, and the plan says that the input comes first.
 */
export type Costs = Readonly<Record<string, number | string>>;

/** Options of a stage whose specification alone is known, checked by its schema. */
export type AnyOptions = Readonly<Record<string, unknown>>;

/** Inputs of a stage whose specification alone is known. */
export type AnyInputs = Readonly<Record<string, Artifact | readonly Artifact[] | undefined>>;

/** Something that options, inputs and earlier stages of a stage contradict each other in. */
export interface Conflict {
  /** The option that it is about: its name, or the path to it. */
  readonly option?: string | readonly PropertyKey[];
  /** The input that it is about; the whole stage if neither is given. */
  readonly input?: string;
  /** Reason that it cannot be used, which follows `Cannot use … in stage "x" as`. */
  readonly reason: string;
  /** Next step for the user. */
  readonly hint?: string;
}

/** Result of {@link Stage.check}; `false` and `undefined` are passed over. */
export type Conflicts = readonly (Conflict | false | undefined)[];

/** A zod object whose values are `O`; by structure, so that the public types need no package's. */
export interface OptionsSchema<O> {
  /** Types as zod keeps them. */
  readonly _zod: { readonly output: O };
}

/** A stage type: the spec and the work. */
export interface Stage<I extends InputSpec, O extends object> {
  /** `thing/verb`, such as `detector/train`: what `uses` names. */
  readonly id: string;
  /** One sentence. */
  readonly doc: string;
  /** Raise it when the same options give another artifact: finished folders are then made again. */
  readonly version: number;
  /** Inputs by name, see {@link InputSpec}. */
  readonly inputs: I;
  /** Kind of the artifact. */
  readonly output: Kind;
  /** Options, each with `.describe()`; unknown keys are errors. */
  readonly options: OptionsSchema<O>;
  /** Files that are read beyond inputs and path options, such as style definitions; their contents count as options do. */
  files?(options: O): string[];
  /**
   * Finds contradictions among options, inputs and earlier stages, before anything runs. `info()` of an input describes
   * the artifact to be made, and its folder is not there yet: let `Deno.errors.NotFound` pass where nothing is known.
   *
   * @param given Names of the options that are no defaults.
   * @throws {InputError} If a file that the stage reads is wrong.
   */
  check?(options: O, inputs: InputsOf<I>, given: ReadonlySet<string>): Conflicts | Promise<Conflicts>;
  /** Costs of a run of the stage, see {@link Costs}; `onPlan` receives each plan that they are found with, for tuning. */
  cost?(options: O, inputs: InputsOf<I>, onPlan: PlanObserver): Costs | Promise<Costs>;
  /** Describes the artifact for later stages before it is made, see {@link ArtifactInfo}; as `cost`, without a GPU. */
  describeOutput?(options: O, inputs: InputsOf<I>): ArtifactInfo | Promise<ArtifactInfo>;
  /** Writes the artifact to `ctx.dir`. */
  run(ctx: StageContext, inputs: InputsOf<I>, options: O): Promise<void>;
  /**
   * Does a part of the work of `run`, beside others on other GPUs and machines: whole files in `ctx.work` that `run` finds
   * there. With all parts, some or none done before, `run` writes the same bytes.
   */
  shard?(ctx: ShardContext, inputs: InputsOf<I>, options: O, shard: Shard): Promise<void>;
}

/** A stage whose specification alone is known; call its functions with inputs and options that were checked against it. */
export interface AnyStage
  extends Omit<Stage<InputSpec, AnyOptions>, "run" | "shard" | "files" | "check" | "cost" | "describeOutput"> {
  /** See {@link Stage.files}. */
  files?(options: AnyOptions): string[];
  /** See {@link Stage.check}. */
  check?(options: AnyOptions, inputs: AnyInputs, given: ReadonlySet<string>): Conflicts | Promise<Conflicts>;
  /** See {@link Stage.cost}. */
  cost?(options: AnyOptions, inputs: AnyInputs, onPlan: PlanObserver): Costs | Promise<Costs>;
  /** See {@link Stage.describeOutput}. */
  describeOutput?(options: AnyOptions, inputs: AnyInputs): ArtifactInfo | Promise<ArtifactInfo>;
  /** See {@link Stage.run}. */
  run(ctx: StageContext, inputs: AnyInputs, options: AnyOptions): Promise<void>;
  /** See {@link Stage.shard}. */
  shard?(ctx: ShardContext, inputs: AnyInputs, options: AnyOptions, shard: Shard): Promise<void>;
}

/** A stage's inputs as its type takes them. */
export function inputsOf(
  { spec, inputs }: { readonly spec: AnyStage; readonly inputs: Readonly<Record<string, readonly string[]>> },
  artifacts: ReadonlyMap<string, Artifact>,
): AnyInputs {
  return Object.fromEntries(
    Object.keys(spec.inputs).map((key) => {
      const name = key.replace(/[?*]$/, "");
      const from = inputs[name]?.map((id) => lookUp(artifacts, id, "artifacts"));
      return [name, key.endsWith("*") ? from ?? [] : from?.[0]];
    }),
  );
}

/**
 * Declares a stage; types of inputs and options follow from the spec.
 *
 * @example
 * ```ts
 * import { z } from "zod";
 * import { stage } from "./stage.ts";
 *
 * export const invert = stage({
 *   id: "dataset/invert",
 *   doc: "Inverts the colours of a dataset.",
 *   version: 1,
 *   inputs: { data: "dataset" },
 *   output: "dataset",
 *   options: z.object({ share: z.number().min(0).max(1).default(1).describe("Share of the images that is inverted") }),
 *   async run(ctx, { data }, { share }) {
 *     await Deno.writeTextFile(`${ctx.dir}/note.txt`, `${share} of ${data.dir}`);
 *   },
 * });
 * ```
 */
export function stage<const I extends InputSpec, O extends object>(spec: Stage<I, O>): Stage<I, O> {
  return spec;
}

/**
 * An option that names a folder which must exist; what lies in it counts for the cache. Relative to the current folder.
 *
 * @param schema `z.string()`.
 * @param reads Names of files and folders in it, which then count alone, as nothing else of it is read; by default all.
 */
export function folder<S extends TextSchema<S>>(schema: S, reads?: readonly string[]): S {
  return schema.min(1).meta({ path: "folder", ...reads && { reads } });
}

/**
 * An option that names a file which must exist; its content counts for the cache. Relative to the current folder.
 *
 * @param schema `z.string()`.
 */
export function file<S extends TextSchema<S>>(schema: S): S {
  return schema.min(1).meta({ path: "file" });
}

/**
 * An option that names a file or a folder which must exist; as {@linkcode file} or {@linkcode folder}.
 *
 * @param schema `z.string()`.
 */
export function fileOrFolder<S extends TextSchema<S>>(schema: S): S {
  return schema.min(1).meta({ path: "file or folder" });
}

/** A zod schema of a text: the part of it that {@linkcode folder} and {@linkcode file} need. */
export interface TextSchema<S> {
  /** The same schema for texts of this length and more. */
  min(length: number): S;
  /** The same schema with more data. */
  meta(data: Readonly<Record<string, unknown>>): S;
}
