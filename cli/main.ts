/**
 * The command line: the table of commands, and the exit code of each way in which one ends.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage or a wrong pipeline (nothing was written), 130 interrupted.
 *
 * @module
 */
import { printable } from "../formats/printable.ts";
import { suggest } from "../formats/yaml_tree.ts";
import { explain, reportOf } from "./_error_report.ts";
import { type Context, type Define, execute, Exit, note, print } from "./command.ts";

/** A command, loaded when it is called, so that each pays for its own imports only. */
interface Entry {
  /** One sentence. */
  readonly doc: string;
  /** Loads the file of the command. */
  load(): Promise<Define>;
}

/** All commands, in the order of `--help`. */
export const COMMANDS: Readonly<Record<string, Entry>> = {
  run: {
    doc: "Runs a pipeline; stages that are up to date are skipped.",
    load: async () => (await import("./run.ts")).run,
  },
  plan: {
    doc: "Prints which stages would run, why, and their memory, arithmetic and time; writes nothing and uses no GPU.",
    load: async () => (await import("./plan.ts")).plan,
  },
  validate: {
    doc: "Checks pipelines; writes nothing and uses no GPU.",
    load: async () => (await import("./validate.ts")).validate,
  },
  graph: {
    doc: "Prints the stages of a pipeline as an SVG image; stages that would run have a dashed border.",
    load: async () => (await import("./graph.ts")).graph,
  },
  status: {
    doc: "Prints the state of a run, during and after it, from its folder.",
    load: async () => (await import("./status.ts")).status,
  },
  watch: {
    doc: "Serves a page that follows a run, on 127.0.0.1 only.",
    load: async () => (await import("./watch.ts")).watch,
  },
  slurm: {
    doc: "Runs a pipeline as jobs of a Slurm cluster, or as several processes of this machine.",
    load: async () => (await import("./slurm.ts")).slurm,
  },
  stages: {
    doc: "Lists the stage types, or describes one of them with its options.",
    load: async () => (await import("./stages.ts")).stages,
  },
  detect: {
    doc: "Finds every face of pictures and its landmarks: a JSON line for each picture, and files of several formats.",
    load: async () => (await import("./detect.ts")).detect,
  },
  correct: {
    doc: "Serves a page to correct landmarks, or to write styles and edits, on 127.0.0.1 only.",
    load: async () => (await import("./correct.ts")).correct,
  },
  page: {
    doc: "Writes a web page that finds faces and landmarks in the browser.",
    load: async () => (await import("./page.ts")).page,
  },
  score: {
    doc: "Scores detectors, and .pts files of other tools, against true landmarks.",
    load: async () => (await import("./score.ts")).score,
  },
  benchmark: {
    doc: "Scores detectors on several folders and writes the tables of Markdown pages.",
    load: async () => (await import("./benchmark.ts")).benchmark,
  },
  export: {
    doc: "Exports a detector or a face finder for other programs.",
    load: async () => (await import("./export.ts")).exportDetector,
  },
  "export-dataset": {
    doc: "Writes a dataset for annotation tools and other trainings: COCO, CVAT, Label Studio and more.",
    load: async () => (await import("./export_dataset.ts")).exportDataset,
  },
  convert: {
    doc:
      "Converts a checkpoint (.ckpt, .pth, .bin, .pkl, .safetensors, a folder) to a folder in the layout of diffusers.",
    load: async () => (await import("./convert.ts")).convert,
  },
  tune: {
    doc: "Finds the fastest kernels for a pipeline on this adapter; run uses them from then on.",
    load: async () => (await import("./tune.ts")).tune,
  },
  bench: {
    doc: "Times kernels and whole steps, and prints them as shares of the adapter's limits.",
    load: async () => (await import("./bench.ts")).bench,
  },
  bundle: {
    doc: "Packs the product with Deno and its packages into one archive, for machines without a network.",
    load: async () => (await import("./bundle.ts")).bundle,
  },
  doctor: {
    doc: "Prints the adapter and runs known-answer kernels on it.",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  hardware: {
    doc: "Checks a GPU in five minutes: kernels, golden numbers, speed, a training; one JSON file and one page.",
    load: async () => (await import("./hardware.ts")).hardware,
  },
  golden: {
    doc: "Checks networks, schedules, losses and metrics against the golden numbers in a folder.",
    load: async () => (await import("./golden.ts")).golden,
  },
};

/** Runs a command line; resolves to the exit code. */
export async function main(
  args: readonly string[],
  given: Pick<Context, "registry"> & Partial<Context>,
): Promise<number> {
  const { print: out = print, note: notes = note, output = Deno.stdout } = given;
  const context: Context = {
    ...given,
    output,
    print: (line = "") => out(printable(line)),
    note: (line) => notes(printable(line)),
  };
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    context.print(help());
    return name === undefined ? 2 : 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    const hint = suggest(name, Object.keys(COMMANDS), "commands");
    context.note(`Cannot run "${name}" as there is no such command, hint: ${hint}`);
    return 2;
  }
  const { doc, load } = command;
  const run = async () => execute(await load(), { name: `deno task ${name}`, doc }, rest, context);
  return await guard(context, run, rest.includes("--json"));
}

/**
 * Runs an action; prints the error it throws, if any, and resolves to the exit code.
 *
 * @param json True to print an {@linkcode ErrorReport} too, as the last line of the result.
 */
export async function guard(
  { note, print }: Pick<Context, "note" | "print">,
  action: () => Promise<void>,
  json = false,
): Promise<number> {
  try {
    await action();
    return 0;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    const { text, exit } = explain(error);
    note(text);
    if (json) print(JSON.stringify({ error: reportOf(error) }));
    return exit;
  }
}

function help(): string {
  const rows = Object.entries(COMMANDS).map(([name, { doc }]) => `  ${name.padEnd(16)}${doc}`);
  return [
    "Facewright trains landmark detectors for faces that are not photographs.",
    "",
    "Usage: deno task COMMAND [options]",
    "",
    "Commands:",
    ...rows,
    "",
    "deno task COMMAND --help lists the options of a command.",
  ].join("\n");
}
