/**
 * The command line: a table of commands, and what their errors mean for the exit code.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage or a wrong pipeline (nothing was written), 130 interrupted.
 *
 * @module
 */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { InputError } from "../formats/input_error.ts";
import { DeviceLostError, NoAdapterError, openDevice } from "../engine/device.ts";
import { readPipeline, type Registry } from "../runtime/pipeline/file.ts";
import { drawPipeline } from "../runtime/pipeline/diagram.ts";
import { type PlannedStage, planRun, runPipeline, StageError } from "../runtime/run/run.ts";
import { stageCosts } from "../runtime/run/costs.ts";
import { formatField, formatSeconds, formatTable, jsonReporter, reporterFor } from "../runtime/run/progress.ts";
import { readRun, type RunState } from "../runtime/run/status.ts";
import { inWords, type JsonSchema, jsonSchema, optionsOf } from "../formats/schema_describe.ts";
import { type Estimate, estimate, readSpeeds, sayTime } from "../runtime/run/timings.ts";
import { pipelinesSchema, stagesPage } from "../runtime/stage_docs.ts";
import { PipelineError, suggest } from "../formats/yaml_tree.ts";

/** A command of the command line. */
export interface Command {
  /** Arguments, such as `FILE [--set KEY=VALUE]…`. */
  readonly usage: string;
  /** One sentence. */
  readonly doc: string;
  /** Runs the command with the arguments after its name; resolves to the exit code. */
  run(args: string[]): Promise<number>;
}

/** Commands by name. */
export type Commands = Readonly<Record<string, Command>>;

/** Arguments that make no sense. */
export class UsageError extends InputError {
  override readonly name = "UsageError";
}

/** `node:util` parseArgs with errors that tell what is allowed. */
export function parse<const T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const text = (error as Error).message.replace(/\.? To specify.*$/s, "");
    const given = /'(-[^']*)'/.exec(text)?.[1];
    const hint = given && suggest(given, Object.keys(config.options ?? {}).map((name) => `--${name}`), "options");
    throw new UsageError(text + (hint ? `, hint: ${hint}` : ""));
  }
}

/** Prints one line; ends the process when nobody reads any more, as in `| head`. */
export function print(line = ""): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(141); // as a shell tells of SIGPIPE
    throw error;
  }
}

function printError(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

const selection = {
  set: { type: "string", multiple: true },
  only: { type: "string" },
  from: { type: "string" },
  until: { type: "string" },
} as const;
const selectionUsage = "FILE [--set KEY=VALUE]… [--only STAGE | --from STAGE | --until STAGE]";

/**
 * The commands about pipelines.
 *
 * @param thread See `RunOptions.thread`.
 */
export function pipelineCommands(registry: Registry, thread?: URL): Commands {
  const read = async (args: string[], allowUnset = false) => {
    const options = { ...selection, json: { type: "boolean" }, tune: { type: "string" } } as const;
    const { values, positionals } = parse({ args, options, allowPositionals: true });
    const file = one(positionals, "pipeline file");
    if (values.only !== undefined && (values.from ?? values.until) !== undefined) {
      throw new UsageError("Cannot use --only with --from or --until");
    }
    return { pipeline: await readPipeline(file, registry, { set: values.set ?? [], allowUnset }), values };
  };
  const commands: Commands = {
    run: {
      usage: `${selectionUsage} [--tune=off|cached|measure|MANIFEST] [--json] [--plan]`,
      doc: "Runs a pipeline; stages that are up to date are skipped. --json prints an event a line, for machines; " +
        "--plan does what plan does. Kernels that deno task tune found are used unless --tune=off is given; measure " +
        "tunes those of each stage first, and a manifest.json takes those that its stage ran with.",
      async run(args) {
        if (args.includes("--plan")) return await commands["plan"]!.run(args.filter((arg) => arg !== "--plan"));
        const { pipeline, values } = await read(args);
        const { signal, release } = stopSignal();
        const reporter = values.json ? jsonReporter(Deno.stdout) : reporterFor(Deno.stdout);
        try {
          const { results } = await runPipeline(pipeline, {
            tune: "cached",
            ...values,
            signal,
            reporter,
            openDevice,
            ...(thread && { thread }),
          });
          if (values.json) return 0;
          if (results.length) print(`\n${formatTable(results)}\n`);
          const folders = pipeline.stages.filter(({ spec }) => spec.output === "report").map(({ id }) => id);
          for (const id of folders) print(`report: runs/${pipeline.name}/${id}/index.html`);
          print(`summary: runs/${pipeline.name}/summary.json`);
          return 0;
        } finally {
          release();
        }
      },
    },
    validate: {
      usage: "FILE|DIR…",
      doc: "Checks pipelines; writes nothing and uses no GPU.",
      async run(args) {
        const { positionals } = parse({ args, allowPositionals: true, options: {} });
        if (!positionals.length) throw new UsageError("Cannot validate as no file or folder is given");
        let wrong = 0;
        for (const file of positionals.flatMap(pipelineFiles)) {
          try {
            const { stages, unset } = await readPipeline(file, registry, { allowUnset: true });
            const needs = asks(unset);
            print(`ok ${file}: ${stages.length} stages${needs && `, run with${needs}`}`);
          } catch (error) {
            if (!(error instanceof PipelineError)) throw error;
            printError(error.message);
            wrong++;
          }
        }
        return wrong ? 2 : 0;
      },
    },
    plan: {
      usage: `${selectionUsage} [--json]`,
      doc: "Prints which stages a run would make and why; writes nothing and uses no GPU.",
      async run(args) {
        const { pipeline, values } = await read(args, true);
        const planned = planRun(pipeline, "runs", values);
        const speeds = readSpeeds("runs");
        const rows = [], costs = [];
        const times: { stage: string; time: Estimate | undefined }[] = [];
        for (const state of planned) {
          const { stage, run, reason, manifest } = state;
          const takes = run === null ? {} : await stageCosts(state);
          if (takes === undefined) costs.push({ stage: stage.id, takes: "is known once its inputs are made" });
          else if (Object.keys(takes).length) costs.push({ stage: stage.id, ...takes });
          const time = takes && estimate(stage.spec.id, takes, speeds);
          if (run !== null) times.push({ stage: stage.id, time });
          rows.push({
            stage: stage.id,
            uses: stage.spec.id,
            needs: values.json ? stage.needs.join(" ") || "-" : briefly(stage.needs),
            took: manifest ? formatSeconds(manifest.seconds) : "-",
            takes: run === null ? "-" : time ? sayTime(time.seconds) + (time.rough ? ", roughly" : "") : "unknown",
            plan: run !== null ? `run: ${run}` : reason === null ? "up to date" : `left out: ${reason}`,
          });
        }
        const each = new Map(times.map(({ stage, time }) => [stage, time?.seconds ?? 0]));
        const seconds = inAll(planned.filter(({ run }) => run !== null), pipeline.jobs, each);
        const unknown = times.flatMap(({ stage, time }) => time ? [] : [stage]);
        if (values.json) {
          print(JSON.stringify({ stages: rows, costs, seconds, unknown, adapter: speeds?.adapter ?? null }));
        } else {
          print([rows, costs].filter(({ length }) => length).map(formatTable).join("\n\n"));
          if (times.length) print(`\n${together(seconds, unknown, times.length, speeds?.adapter)}`);
          if (Object.keys(pipeline.unset).length) print(`\nrun with${asks(pipeline.unset)}`);
        }
        return 0;
      },
    },
    graph: {
      usage: selectionUsage,
      doc: "Prints the stages as an SVG picture; those that a run would make have a dashed border.",
      async run(args) {
        const { pipeline, values } = await read(args, true);
        const planned = planRun(pipeline, "runs", values).filter(({ run }) => run !== null);
        print(drawPipeline(pipeline, new Set(planned.map(({ stage }) => stage.id))).trimEnd());
        return 0;
      },
    },
    status: {
      usage: "[DIR] [--json]",
      doc: "Tells the state of the run in a folder, whether it is going on or not; of all in runs/ without one.",
      async run(args) {
        const { values, positionals } = parse({ args, options: { json: { type: "boolean" } }, allowPositionals: true });
        if (!positionals.length) {
          const entries = statOf("runs") ? [...Deno.readDirSync("runs")] : [];
          const names = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
          const states = names.flatMap((name) => readRun(`runs/${name}`) ?? []);
          if (values.json) print(JSON.stringify(states));
          else if (states.length) {
            print(formatTable(states.map((state) => ({ run: state.pipeline, ...headline(state) }))));
          } else print("there is no run in runs/");
          return await Promise.resolve(0);
        }
        const dir = one(positionals, "folder of a run");
        const state = readRun(dir);
        if (!state) {
          throw new UsageError(
            `Cannot tell the state of "${dir}" as no run left a log there, hint: name a folder such as runs/full`,
          );
        }
        if (values.json) print(JSON.stringify(state));
        else printState(state);
        return 0;
      },
    },
    stages: {
      usage: "[STAGE] [--markdown | --schema]",
      doc:
        "Lists the stage types, or all about one of them; as a page, or as the JSON schema of pipelines for editors.",
      async run(args) {
        const options = { markdown: { type: "boolean" }, schema: { type: "boolean" } } as const;
        const { values, positionals } = parse({ args, allowPositionals: true, options });
        const ids = positionals.length ? [one(positionals, "stage type")] : Object.keys(registry);
        if (positionals.length && !registry[ids[0]!]) {
          const hint = suggest(ids[0]!, Object.keys(registry), "stage types");
          throw new UsageError(`Cannot describe "${ids[0]}" as there is no such stage type, hint: ${hint}`);
        }
        const specs = await Promise.all(ids.map((id) => registry[id]!()));
        if (values.markdown ?? values.schema) {
          print((values.markdown ? stagesPage(specs) : JSON.stringify(pipelinesSchema(specs), null, 1)).trimEnd());
          return 0;
        }
        for (const spec of specs) {
          const { id, doc, inputs, output } = spec;
          print(`${id}  ${doc}`);
          const takes = Object.entries(inputs).map(([name, kind]) => `${name}: ${kind}`).join(", ") || "nothing";
          print(`  in: ${takes}; makes a ${output}`);
          if (positionals.length) printOptions(jsonSchema(optionsOf(spec)), "  ");
        }
        return 0;
      },
    },
  };
  return commands;
}

/** Seconds of stages that run side by side, each as fast as alone. */
function inAll(planned: readonly PlannedStage[], jobs: number, each: ReadonlyMap<string, number>): number {
  const ends = new Map<string, number>();
  const lanes = new Array<number>(jobs).fill(0);
  for (const { stage: { id, needs } } of planned) {
    const lane = lanes.indexOf(Math.min(...lanes));
    const end = Math.max(lanes[lane]!, ...needs.map((need) => ends.get(need) ?? 0)) + each.get(id)!;
    ends.set(id, lanes[lane] = end);
  }
  return Math.max(0, ...lanes);
}

/** How long a run will take, in a sentence. */
function together(seconds: number, unknown: readonly string[], of: number, adapter: string | undefined): string {
  const hint = "hint: run deno task bench once, or any pipeline";
  if (unknown.length === of) return `time: unknown, ${hint}`;
  const rest = unknown.length ? `, without ${unknown.join(", ")}` : "";
  return `time: ${sayTime(seconds)}${rest}, by what stages took on ${adapter}`;
}

/** What is to be given for parameters that have no value. */
function asks(unset: Readonly<Record<string, string>>): string {
  return Object.keys(unset).map((name) => ` --set ${name}=…`).join("");
}

/** A run in a few words. */
function headline({ status, owner, stages, updated }: RunState) {
  const done = stages.filter((stage) => stage.status === "done" || stage.status === "skipped").length;
  const at = stages.filter((stage) => !["done", "skipped", "waiting"].includes(stage.status)).map((
    { stage, progress },
  ) => progress ? `${stage} ${progress.done}/${progress.total}` : stage);
  return {
    state: owner ? `${status}, process ${owner.process}` : status,
    stages: `${done} of ${stages.length} done`,
    at: at.join(", ") || "-",
    updated: updated ? ago(updated) : "-",
  };
}

function ago(time: string): string {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  // The clock may have been moved back meanwhile.
  return seconds < 0 ? time : `${formatSeconds(seconds)} ago`;
}

function printState(state: RunState): void {
  const { state: words, updated } = headline(state);
  print(`${state.pipeline}: ${words}; last news ${updated}`);
  if (state.message) print(state.message);
  print();
  print(formatTable(state.stages.map(({ stage, status, seconds, progress }) => ({
    stage,
    state: status,
    time: formatSeconds(seconds),
    progress: progress
      ? [
        `${progress.done}/${progress.total}`,
        ...Object.entries(progress.fields).map(([name, value]) => `${name} ${formatField(value, name)}`),
      ].join("  ")
      : "",
  }))));
  if (state.results.length) print(`\n${formatTable(state.results)}`);
  if (state.status !== "running" && state.status !== "done" && state.file) {
    print(`\nhint: go on with deno task run ${state.file}`);
  }
}

function printOptions({ properties = {}, required = [] }: JsonSchema, indent: string): void {
  for (const [name, schema] of Object.entries(properties)) {
    const fallback = schema.default !== undefined ? `, default ${JSON.stringify(schema.default)}` : "";
    const need = required.includes(name) ? ", required" : "";
    print(`${indent}${name}: ${schema.description ?? ""} (${inWords(schema)}${fallback}${need})`);
    if (schema.properties) printOptions(schema, `${indent}  `);
  }
}

/** The only positional argument; `what` names it in the error. */
export function one(positionals: readonly string[], what: string): string {
  if (positionals.length === 1) return positionals[0]!;
  const given = positionals.length ? `given are ${positionals.join(" ")}` : "none is given";
  throw new UsageError(`Cannot run the command as it takes one ${what}: ${given}`);
}

function pipelineFiles(path: string): string[] {
  const info = statOf(path);
  if (!info) throw new UsageError(`Cannot validate "${path}" as there is no such file or folder`);
  if (!info.isDirectory) return [path];
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => /\.ya?ml$/.test(name)).sort();
  if (!names.length) throw new UsageError(`Cannot validate "${path}" as the folder holds no .yaml file`);
  return names.map((name) => `${path.replace(/\/$/, "")}/${name}`);
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Aborted by Ctrl-C or SIGTERM; the second time the process ends at once. */
export function stopSignal(what = "step"): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(130);
    printError(`\nStopping after this ${what}; once more stops at once.`);
    controller.abort(new DOMException("The run was interrupted", "AbortError"));
  };
  const names = ["SIGINT", "SIGTERM"] as const;
  for (const name of names) Deno.addSignalListener(name, stop);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) Deno.removeSignalListener(name, stop);
    },
  };
}

/** Runs a command line; resolves to the exit code. */
export async function main(args: readonly string[], commands: Commands): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    printHelp(commands);
    return name === undefined ? 2 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    printError(
      `Cannot run "${name}" as there is no such command, hint: ${suggest(name, Object.keys(commands), "commands")}`,
    );
    return 2;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    print(`${name} ${command.usage}\n\n${command.doc}`);
    return 0;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    const { text, exit } = explain(error);
    printError(error instanceof UsageError ? `${text}\nusage: ${name} ${command.usage}` : text);
    return exit;
  }
}

/** What is printed of an error, and the exit code. The one place that tells mistakes of users from bugs. */
export function explain(error: unknown): { text: string; exit: number } {
  if (error instanceof StageError) {
    if (error.status === "interrupted") return { text: error.message, exit: 130 };
    return { text: isBug(error.cause) ? `${error.message}\n\n${bugReport(error.cause)}` : error.message, exit: 1 };
  }
  if (isBug(error)) return { text: bugReport(error), exit: 1 };
  return { text: (error as Error).message, exit: error instanceof InputError ? 2 : 1 };
}

/** Whether an error is neither what a user did nor what the machine did: no adapter, a lost GPU, a full disk. */
function isBug(error: unknown): boolean {
  if ([InputError, NoAdapterError, DeviceLostError, Deno.errors.NotCapable].some((kind) => error instanceof kind)) {
    return false;
  }
  // The codes of the operating system, of which EBADF is no fault of the machine.
  return !/^E(?!BADF$)[A-Z0-9]+$/.test((error as { code?: string } | null)?.code ?? "");
}

function bugReport(error: unknown): string {
  return `${error instanceof Error ? error.stack ?? error.message : String(error)}\nthis is a bug in Facewright`;
}

/** Stages in a few words: those that a matrix made of one count as one. */
function briefly(ids: readonly string[]): string {
  const MOST = 4;
  const names = [...new Set(ids.map((id) => id.replace(/@.*/, "@*")))];
  const more = names.length > MOST ? ` and ${names.length - MOST} more` : "";
  return names.slice(0, MOST).join(" ") + more || "-";
}

function printHelp(commands: Commands): void {
  print("Facewright makes landmark detectors for faces that are not photographs.\n");
  for (const [name, { usage, doc }] of Object.entries(commands)) print(`  ${name} ${usage}\n      ${doc}`);
}
