/**
 * The command `hardware`: everything that shows whether a GPU computes right and how fast, in a few minutes, as one JSON
 * file and one page.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readJsonIfUsable, writeFile } from "../formats/files.ts";
import { chooseAdapters } from "../engine/adapters.ts";
import { deviceLine, gpuOption } from "./_device.ts";
import { type Context, Exit, number, UsageError } from "./command.ts";

/** A training whose losses were recorded on a software driver. */
interface Recorded {
  readonly adapter: string;
  /** Loss by step. */
  readonly losses: Readonly<Record<string, number>>;
}

/** A step of the check. */
interface Step {
  readonly name: string;
  /** Arguments of Deno. */
  readonly args: readonly string[];
  /** Environment beside that of the command. */
  readonly env?: Readonly<Record<string, string>>;
  /** Time it may take, seconds, of 300 in all. */
  readonly seconds: number;
  /** Reads what it printed; throws if that shows a fault. */
  read?(lines: readonly string[]): Promise<Record<string, unknown>>;
}

/** Result of a step. */
export interface StepResult {
  /** Its name. */
  readonly step: string;
  /** `unfinished` after its time was up, which says nothing about the adapter. */
  readonly status: "passed" | "failed" | "unfinished";
  /** Time that it took. */
  readonly seconds: number;
  /** Figures. */
  readonly figures: Readonly<Record<string, unknown>>;
  /** Last lines that it printed, unless it passed. */
  readonly output?: readonly string[];
}

/** Result of the check, `hardware.json`. */
export interface HardwareReport {
  /** The device, as commands name it. */
  readonly device: string;
  /** Version of Deno. */
  readonly deno: string;
  /** Day of the check, ISO 8601. */
  readonly date: string;
  /** Results in the order of the steps. */
  readonly steps: readonly StepResult[];
}

const TEST = [
  "test",
  "-q",
  "--no-prompt",
  "--lock=tests/deno.lock",
  "-P=cli",
  "--allow-write=/tmp",
  "--allow-run=deno",
];
/** Largest relative difference of a loss: the drivers round differently, and a training amplifies that. */
const LOSS_TOLERANCE = 0.05;
const RECORDED = new URL("../bench/hardware_losses.json", import.meta.url);

/** A command in one process, without `deno task` above it, which would leave it running when it is killed. */
const command = (...args: string[]) => [
  "run",
  "-q",
  "--no-prompt",
  "-P=cli",
  "--allow-write=runs",
  "--allow-run=deno,nvidia-smi",
  "main.ts",
  ...args,
];

/** The steps, which take five minutes together at most. */
export function stepsOf(dir: string): readonly Step[] {
  const pipeline = join(dir, "training.yaml");
  const ops = [...TEST, "tests/ops"];
  return [
    { name: "doctor", args: command("doctor"), seconds: 15 },
    { name: "ops", args: ops, seconds: 70, read: (lines) => Promise.resolve(testCounts(lines)) },
    {
      name: "textures",
      args: ops,
      env: { FACEWRIGHT_STORAGE: "texture" },
      seconds: 70,
      read: (lines) => Promise.resolve(testCounts(lines)),
    },
    {
      name: "golden",
      args: command("golden", "tests/golden"),
      seconds: 25,
      read: (lines) => Promise.resolve({ cases: lines.filter((line) => /^ok /.test(line)).length }),
    },
    {
      name: "bench",
      args: command("bench", "--json", "--runs", "3"),
      seconds: 60,
      read: (lines) => Promise.resolve({ cases: lines.flatMap(jsonOf) }),
    },
    {
      name: "tune",
      args: command("tune", "pipelines/full.yaml", "--only", "detector", "--percent", "50", "--json"),
      seconds: 30,
      read: (lines) => Promise.resolve({ kernels: lines.flatMap(jsonOf) }),
    },
    { name: "training", args: command("run", pipeline, "--from", "train", "--tune", "off"), seconds: 30, read: losses },
  ];
}

/** A short training of a small detector on faces that it draws itself. */
const TRAINING = `name: hardware_training
doc: A short training whose losses are compared with those of a software driver.
seed: 7
stages:
  faces: { uses: faces/render, with: { count: 32, size_px: 64 } }
  train: { uses: detector/train, in: { data: faces }, with: { steps: 40, batch_size: 16, network: { stacks: 1, channels: 32 } } }
`;
/** Steps whose losses are compared, each the mean of the ten steps up to it. */
const COMPARED = [10, 20, 30, 40];

/** Declares `hardware`; the exit code is 1 if a step failed. */
export const hardware = (context: Context) =>
  new Command()
    .addOption(gpuOption())
    .option(
      "--only <STEPS>",
      "steps to take, with commas between: doctor, ops, textures, golden, bench, tune, training",
    )
    .addOption(
      new Option("--slowly <FACTOR>", "time of each step, as a multiple; all of them take 5 minutes at most")
        .argParser(number("a number of 1 and more", (factor) => factor >= 1)).default(1),
    )
    .addOption(new Option("--record", "record the losses of the training as those to compare with").hideHelp())
    .addHelpText("after", "\nExample:\n  deno task hardware --gpu 0")
    .action(async ({ gpu, only, slowly, record }) => {
      const { print, note } = context;
      const dir = "runs/hardware";
      const chosen = chooseSteps(stepsOf(dir), only?.split(","));
      const [adapter] = await chooseAdapters(gpu === undefined ? [] : [gpu]);
      const device = await deviceLine(adapter);
      note(`device: ${device}`);
      await writeFile(join(dir, "training.yaml"), TRAINING);
      const steps: StepResult[] = [];
      for (const step of chosen) {
        const result = await take({ ...step, seconds: step.seconds * slowly }, gpu);
        note(`${result.status.padEnd(10)} ${step.name}, ${result.seconds.toFixed(0)} s`);
        steps.push(result);
      }
      if (record) await recordLosses(device, steps);
      const report = { device, deno: Deno.version.deno, date: new Date().toISOString().slice(0, 10), steps };
      await writeFile(join(dir, "hardware.json"), JSON.stringify(report, null, 2) + "\n");
      await writeFile(join(dir, "hardware.md"), hardwarePage(report));
      print(`${dir}/hardware.json and ${dir}/hardware.md`);
      if (steps.some(({ status }) => status === "failed")) throw new Exit(1);
    });

/** @throws {UsageError} If there is no step of a name. */
function chooseSteps(steps: readonly Step[], names: readonly string[] | undefined): readonly Step[] {
  const unknown = names?.find((name) => !steps.some((step) => step.name === name));
  if (unknown !== undefined) {
    const all = steps.map(({ name }) => name).join(", ");
    throw new UsageError(`Cannot take step "${unknown}" as there is no such step, hint: steps are ${all}`);
  }
  return steps.filter(({ name }) => names?.includes(name) ?? true);
}

/** Runs a step in a process of its own, which is ended when its time is up. */
export async function take({ name, args, env, seconds, read }: Step, gpu: string | undefined): Promise<StepResult> {
  const begun = performance.now();
  const child = new Deno.Command("deno", {
    args: [...args],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { NO_COLOR: "1", TMPDIR: "/tmp", ...gpu !== undefined && { FACEWRIGHT_GPU: gpu }, ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, seconds * 1000);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const [lines, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).split("\n").filter(Boolean));
  const took = Math.round(performance.now() - begun) / 1000;
  const output = [...lines!, ...errors!].slice(-20);
  try {
    const figures = await read?.(lines!) ?? {};
    if (success) return { step: name, status: "passed", seconds: took, figures };
    return { step: name, status: late ? "unfinished" : "failed", seconds: took, figures, output };
  } catch (error) {
    const figures = error instanceof WrongFigures ? error.figures : {};
    const status = late ? "unfinished" : "failed";
    return { step: name, status, seconds: took, figures, output: [...output, (error as Error).message] };
  }
}

/** Figures that are outside their tolerance. */
class WrongFigures extends Error {
  constructor(message: string, readonly figures: Readonly<Record<string, unknown>>) {
    super(message);
  }
}

/** The object of a line that is JSON. */
function jsonOf(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}

/** Tests that passed and failed, by the last line of `deno test`. */
export function testCounts(lines: readonly string[]): { passed: number; failed: number } {
  const found = lines.map((line) => /(\d+) passed.*\| (\d+) failed/.exec(line)).findLast((match) => match !== null);
  return { passed: Number(found?.[1] ?? 0), failed: Number(found?.[2] ?? 0) };
}

/** Losses of the training beside those that were recorded. */
async function losses(): Promise<Record<string, unknown>> {
  const lines = (await Deno.readTextFile("runs/hardware_training/train/metrics.jsonl")).trim().split("\n");
  const each = lines.map((line) => (JSON.parse(line) as { loss: number }).loss);
  const here = Object.fromEntries(COMPARED.map((step) => {
    const ten = each.slice(step - 10, step);
    return [step, ten.reduce((sum, loss) => sum + loss, 0) / ten.length];
  }));
  const recorded = readJsonIfUsable<Recorded>(fileURLToPath(RECORDED));
  const figures = { losses: here, recorded };
  const far = COMPARED.filter((step) => {
    const wanted = recorded?.losses[step];
    return wanted !== undefined && !(Math.abs(here[step]! - wanted) <= LOSS_TOLERANCE * wanted);
  });
  if (far.length) {
    throw new WrongFigures(
      `the loss differs from the recorded one by more than ${100 * LOSS_TOLERANCE} % at step ${far.join(", ")}`,
      figures,
    );
  }
  return figures;
}

/** Keeps the losses of a training that was just done. */
async function recordLosses(adapter: string, steps: readonly StepResult[]): Promise<void> {
  const training = steps.find(({ step }) => step === "training");
  if (!training?.figures.losses) throw new UsageError("Cannot record losses as the training was not done");
  await writeFile(
    fileURLToPath(RECORDED),
    JSON.stringify({ adapter, losses: training.figures.losses }, null, 2) + "\n",
  );
}

/** The page of a report, in Markdown, for docs/speed.md. */
export function hardwarePage({ device, deno, date, steps }: HardwareReport): string {
  const lines = [`### ${device}`, "", `\`deno task hardware\`, ${date}, Deno ${deno}.`, ""];
  lines.push("| step | result | time |", "| --- | --- | ---: |");
  for (const { step, status, seconds, figures } of steps) {
    const { passed, failed } = figures as { passed?: number; failed?: number };
    const tests = passed === undefined ? "" : `, ${passed} tests passed, ${failed} failed`;
    lines.push(`| ${step} | ${status}${tests} | ${seconds.toFixed(0)} s |`);
  }
  const cases = figuresOf(steps, "bench", "cases").filter(({ case: name }) => typeof name === "string");
  if (cases.length) {
    lines.push("", "| case | ms | share | host us |", "| --- | ---: | ---: | ---: |");
    for (const { case: name, ms, share, dispatches, host_us } of cases) {
      const host = Number(dispatches) >= 100 ? Number(host_us).toFixed(1) : "-";
      lines.push(`| ${name} | ${Number(ms).toFixed(2)} | ${(100 * Number(share)).toFixed(0)} % | ${host} |`);
    }
  }
  const { losses, recorded } = (steps.find(({ step }) => step === "training")?.figures ?? {}) as {
    losses?: Readonly<Record<string, number>>;
    recorded?: Recorded;
  };
  if (losses) {
    lines.push(
      "",
      `| loss, mean of ten steps | here | ${recorded?.adapter ?? "not recorded"} |`,
      "| --- | ---: | ---: |",
    );
    for (const [step, loss] of Object.entries(losses)) {
      lines.push(`| step ${step} | ${loss.toFixed(4)} | ${recorded?.losses[step]?.toFixed(4) ?? "-"} |`);
    }
  }
  return lines.join("\n") + "\n";
}

function figuresOf(steps: readonly StepResult[], step: string, key: string): readonly Record<string, unknown>[] {
  const found = steps.find((one) => one.step === step)?.figures[key];
  return Array.isArray(found) ? found : [];
}
