/**
 * The fit of a detector to the corrected faces of a folder: a pipeline that runs in a process of its own, and its state.
 *
 * The state is read from the folder of the run, so it is the same after a reload of the page and after a restart of the server.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { removeIfExists } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { counted } from "../formats/numbers.ts";
import type { Pipeline } from "../runtime/pipeline/file.ts";
import { setFlags, shellWord } from "../runtime/pipeline/shell.ts";
import { readRun, type RunState, type StageProgress } from "../runtime/run/status.ts";
import { correctedFaces, saveCorrected } from "./_correct_save.ts";
import type { FaceSource } from "./_correct_source.ts";

/** The pipeline that is run unless another one is named. */
export const ADAPT_PIPELINE: string = fileURLToPath(new URL("../pipelines/adapt.yaml", import.meta.url));
/** Fewest faces for a fit: with fewer, the errors of its holdout would say little. */
export const LEAST_FACES = 20;

/** Side of the crops of the faces, pixels. */
const CROP_PX = 256;
/** Interval at which the folder of the run is read, milliseconds. */
const READ_MS = 1000;

const PROGRAM = fileURLToPath(new URL("../main.ts", import.meta.url));

/** State of the fit. */
export interface AdaptState {
  /** That of the run; `none` before the first one, `saving` while the faces are written. */
  readonly status: RunState["status"] | "none" | "saving";
  /** Reason that it failed. */
  readonly message: string | null;
  /** Stages of the run, in their order. */
  readonly stages: readonly StageProgress[];
  /** Rows of measurements, once it is done. */
  readonly results: RunState["results"];
  /** Names of the detectors before and after in the rows. */
  readonly detectors: readonly [before: string, after: string];
  /** Faces that it needs at least. */
  readonly least: number;
  /** Folder of the adapted weights. */
  readonly weights: string;
  /** The page that the run has written; null if the pipeline has no report. */
  readonly report: string | null;
  /** The command that does the same. */
  readonly command: string;
}

/** Parts of a fit. */
export interface AdaptOptions {
  /** The faces before any correction. */
  readonly source: FaceSource;
  /** File of the pipeline, which has a parameter `folder`. */
  readonly file: string;
  /** Values of its other parameters, `key=value`. */
  readonly set: readonly string[];
  /** GPU to compute on; by default that of the pipeline. */
  readonly gpu?: string | undefined;
  /** Reads the pipeline, without a value of `folder`. */
  read(): Promise<Pipeline>;
}

/** Names of what a pipeline makes. */
interface Names {
  readonly home: string;
  readonly detectors: readonly [before: string, after: string];
  readonly report: string | undefined;
}

/** See the module. */
export class Adaptation implements AsyncDisposable {
  /** Receives the state whenever it has changed. */
  onChange: (state: AdaptState) => void = () => {};
  readonly #options: AdaptOptions;
  /** Folder of the crops of the faces. */
  readonly #folder: string;
  readonly #set: readonly string[];
  #names: Promise<Names> | undefined;
  #isSaving = false;
  #child: Deno.ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();
  #failure: string | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #sent = "";

  /** Takes the faces and the pipeline. */
  constructor(options: AdaptOptions) {
    this.#options = options;
    const dir = resolve(options.source.dir);
    // Folders of one name have different ids.
    const id = createHash("sha256").update(dir).digest("hex").slice(0, 8);
    this.#folder = resolve(`runs/corrected/${basename(dir)}-${id}`);
    this.#set = [`folder=${this.#folder}`, ...options.set];
  }

  /** The state now. */
  async state(): Promise<AdaptState> {
    const { file, set, source } = this.#options, { home, detectors, report } = await this.#namesOf();
    const last = readRun(home), run = last?.command?.includes(shellWord(this.#set[0]!)) ? last : undefined;
    const begins = this.#isSaving || this.#child && run?.status !== "running";
    const status = this.#isSaving ? "saving" : begins ? "running" : this.#failure ? "failed" : run?.status ?? "none";
    if (status === "running") this.#timer ??= setInterval(() => void this.#tell(), READ_MS);
    const choice = file === ADAPT_PIPELINE ? "" : ` --pipeline ${shellWord(file)}`;
    return {
      status,
      message: begins ? null : this.#failure ?? run?.message ?? null,
      stages: begins || this.#failure ? [] : run?.stages ?? [],
      results: status === "done" ? run?.results ?? [] : [],
      detectors,
      least: LEAST_FACES,
      weights: `${home}/${detectors[1]}`,
      report: report === undefined ? null : `${home}/${report}/index.html`,
      command: `deno task correct ${shellWord(source.dir)} --adapt${choice}${setFlags(set)}`,
    };
  }

  #namesOf(): Promise<Names> {
    return this.#names ??= this.#options.read().then(({ name, stages, unset }) => {
      const made = (output: string) => stages.filter(({ spec }) => spec.output === output).map(({ id }) => id);
      const detectors = made("detector"), [before, after] = [detectors[0], detectors.at(-1)];
      if (before === undefined || after === undefined || unset["folder"] === undefined) {
        throw new InputError(
          `Cannot adapt a detector by ${this.#options.file}: it makes no detector from a parameter "folder"`,
        );
      }
      return { home: `runs/${name}`, detectors: [before, after], report: made("report")[0] };
    });
  }

  async #tell(): Promise<void> {
    const state = await this.state(), text = JSON.stringify(state);
    if (state.status !== "running" && state.status !== "saving") {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    if (text !== this.#sent) this.onChange(state);
    this.#sent = text;
  }

  /**
   * Writes the corrected faces as a dataset of crops.
   *
   * @returns Number of faces.
   * @throws {InputError} If there are too few, or a picture cannot be read.
   */
  async save(): Promise<number> {
    const { source } = this.#options, { length } = correctedFaces(source), missing = LEAST_FACES - length;
    if (missing > 0) {
      throw new InputError(
        `Cannot adapt a detector to ${counted(length, "face")} of ${source.dir}: ${LEAST_FACES} are needed at least`,
        { hint: `accept or correct ${missing} more` },
      );
    }
    removeIfExists(this.#folder);
    return await saveCorrected(source, this.#folder, CROP_PX);
  }

  /** Runs the pipeline with the given standard streams. */
  #spawn(how: Pick<Deno.CommandOptions, "stdout" | "stderr" | "detached">, ...more: string[]): Deno.ChildProcess {
    const { file, gpu } = this.#options;
    // One process, without `deno task` above it, which would leave it running when it is stopped.
    const permissions = ["-q", "--no-prompt", "-P=cli", "--allow-write=runs"];
    const set = this.#set.flatMap((text) => ["--set", text]), device = gpu === undefined ? [] : ["--gpu", gpu];
    const args = ["run", ...permissions, PROGRAM, "run", resolve(file), ...set, ...device, ...more];
    return new Deno.Command("deno", { args, stdin: "null", ...how }).spawn();
  }

  /**
   * Saves the faces and starts the pipeline, which goes on where an earlier run of the same faces was stopped.
   *
   * @throws {InputError} If there are too few faces, or it is running.
   */
  async start(): Promise<void> {
    if (this.#isSaving || (await this.state()).status === "running") {
      throw new InputError("Cannot adapt the detector again: it is being adapted");
    }
    [this.#isSaving, this.#failure] = [true, undefined];
    try {
      await this.#tell();
      await this.save();
      // Of its own session: the end of the server stops it, and Ctrl-C does not reach it a second time.
      this.#child = this.#spawn({ stdout: "piped", stderr: "null", detached: true }, "--json");
    } finally {
      this.#isSaving = false;
      await this.#tell();
    }
    this.#ended = this.#follow(this.#child);
  }

  /** Waits for the end of the process, and notes why it failed. */
  async #follow(child: Deno.ChildProcess): Promise<void> {
    let last = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      last = (last + text).split("\n").slice(-2).join("\n"); // its last line and the empty one behind it
    }
    const { code } = await child.status;
    if (code !== 0 && code !== INTERRUPTED) this.#failure = failureIn(last) ?? `The run ended with exit code ${code}`;
    this.#child = undefined;
    await this.#tell();
  }

  /**
   * Stops the run after its step; the next start goes on there.
   *
   * @throws {InputError} If another process started it.
   */
  async cancel(): Promise<void> {
    if (this.#child) return this.#child.kill("SIGTERM");
    const { home } = await this.#namesOf(), owner = readRun(home)?.owner;
    if (owner) {
      throw new InputError(`Cannot stop the run of ${home}: this server did not start it`, {
        hint: `kill ${owner.process}`,
      });
    }
  }

  /**
   * Saves the faces and runs the pipeline on the terminal.
   *
   * @returns Exit code of the run.
   * @throws {InputError} As {@linkcode Adaptation.save}.
   */
  async runHere(): Promise<number> {
    await this.save();
    const wait = () => {}; // Ctrl-C reaches the run, which says what it does
    Deno.addSignalListener("SIGINT", wait);
    const { code } = await this.#spawn({ stdout: "inherit", stderr: "inherit" }).status;
    Deno.removeSignalListener("SIGINT", wait);
    return code;
  }

  /** Stops the run, if this process started it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.onChange = () => {};
    this.#child?.kill("SIGTERM");
    await this.#ended;
    clearInterval(this.#timer);
  }
}

/** Exit code of a run that was stopped. */
const INTERRUPTED = 130;

/** The error in the last line that `run --json` printed. */
function failureIn(output: string): string | undefined {
  try {
    const { message, hint } = JSON.parse(output).error;
    return message + (hint === undefined ? "" : `, hint: ${hint}`);
  } catch {
    return undefined; // it was killed
  }
}
