/**
 * The command `bench`: the engine's speed as shares of what the adapter can do, measured in the same run.
 *
 * @module
 */

import { Command, Option } from "@commander-js/extra-typings";
import { type Context, Exit, number, UsageError } from "./command.ts";
import type { Device } from "../engine/device.ts";
import { gpuOption, openChosen } from "./_device.ts";
import { makeFolder } from "../formats/files.ts";
import { recordTiming } from "../runtime/run/timings.ts";
import { globFilter } from "../stages/lib/glob.ts";
import { CASES } from "../bench/cases.ts";
import { type Figure, figure } from "../bench/figures.ts";
import { type Ceilings, measureCeilings } from "../bench/measure.ts";

/** Choice of cases, and how they are timed and printed. */
interface BenchOptions {
  readonly only: string | undefined;
  readonly runs: number | undefined;
  readonly json: boolean;
}

/** The step by whose speed `plan` estimates times of stages that were never run. */
const PLANNED_BY = "step.unet_controlnet:tiny-b8";

/** Plans of fewer dispatches do not measure the host: the fixed cost of a submission would dominate. */
const MANY_DISPATCHES = 100;

/** Declares `bench`; see docs/speed.md. */
export const bench = (context: Context) =>
  new Command()
    .option("--only <PATTERNS>", "cases whose names match, with commas between; * matches any text, ? any letter")
    .addOption(
      new Option("--runs <N>", "timings of a case, whose median counts (default: 7, or 3 above two seconds)")
        .argParser(number("a whole number of 1 and more", (runs) => Number.isInteger(runs) && runs >= 1))
        .conflicts(["peers", "soak", "fullSize"]),
    )
    .option("--peers", "time other engines on the same cases; Deno downloads them first, 190 MB")
    .addOption(
      new Option("--soak", "measure the memory of 1,000 training steps").conflicts(["only", "peers", "fullSize"]),
    )
    .addOption(
      new Option("--full-size", "measure one prediction of Stable Diffusion v1").conflicts([
        "only",
        "peers",
        "json",
      ]),
    )
    .addOption(gpuOption())
    .option("--json", "print a JSON line for each case")
    .addHelpText("after", '\nExample:\n  deno task bench --only "conv2d.*"')
    .action(async ({ only, runs, json = false, peers, soak, fullSize, gpu }) => {
      if (peers) return await timePeers(only, json, gpu, context);
      const device = await openChosen(gpu, context);
      try {
        if (fullSize) return await (await import("../bench/full_size.ts")).fullSize(device, context.print);
        if (soak) {
          const kept = await (await import("../bench/soak.ts")).soak(device, json, context.print);
          if (!kept) throw new Exit(1);
        } else await timeCases(device, { only, runs, json }, context);
      } finally {
        device.destroy();
      }
    });

async function timeCases(device: Device, { only, runs, json }: BenchOptions, { print, note }: Context): Promise<void> {
  const matching = chooseCases(only);
  const chosen = matching.filter(({ large }) => !large || !device.software || only !== undefined);
  if (chosen.length < matching.length) {
    note("cases of large batches are left out on a software driver unless --only names them");
  }
  const care = runs === undefined ? {} : { runs };
  printCeilings(device, await measureCeilings(device, care), json, print);
  if (!json) print(row("case", ["ms", "low", "high", "cores", "speed", "share", "MB", "host us"]));
  for (const one of chosen) {
    const measured = await figure(device, one, care);
    print((json ? jsonRow : tableRow)(measured));
    if (one.name !== PLANNED_BY) continue;
    await makeFolder("runs");
    recordTiming("runs", device.name, "bench", { seconds: 60, flops: measured.gflops * 60e9 });
  }
}

/** Runs the task `bench:peers`, which has a lock file of its own: what is in one is downloaded before anything runs. */
async function timePeers(
  only: string | undefined,
  json: boolean,
  gpu: string | undefined,
  { note }: Context,
): Promise<void> {
  note(
    "TensorFlow.js, jax-js and ONNX Runtime Web are timed too. Deno downloads them now unless it has them: 190 MB, " +
      "which nothing else here needs",
  );
  const options = { only, gpu };
  const given = Object.entries(options).flatMap(([name, value]) => value === undefined ? [] : [`--${name}`, value]);
  const args = ["task", "-q", "bench:peers", ...given, ...json ? ["--json"] : []];
  const { code } = await new Deno.Command("deno", { args }).spawn().status;
  if (code) throw new Exit(code);
}

/**
 * The cases whose names fit patterns with `*` and `?`, separated by commas; all without one.
 *
 * @throws {UsageError} If there are none.
 */
export function chooseCases(only: string | undefined): typeof CASES {
  const chosen = CASES.filter(({ name }) => globFilter(only?.split(",") ?? ["*"], [])(name));
  if (chosen.length) return chosen;
  const names = CASES.map(({ name }) => name).join(", ");
  throw new UsageError(`Cannot time "${only}" as no case has such a name, hint: cases are ${names}; * and ? fit any`);
}

/** Prints what is measured on, and its limits. */
export function printCeilings(
  device: Device,
  { arithmetic, copy }: Ceilings,
  json: boolean,
  print: Context["print"],
): void {
  if (json) {
    print(JSON.stringify({ adapter: device.name, storage: device.storage }));
    print(JSON.stringify({ ceiling: "arithmetic", gflops: arithmetic }));
    print(JSON.stringify({ ceiling: "copy", gbs: copy }));
  } else {
    print(`${device.name}, ${device.storage} class`);
    print(`ceilings: arithmetic ${arithmetic.toFixed(1)} GFLOP/s, copies ${copy.toFixed(1)} GB/s`);
  }
}

/** A line of a table: a name, and columns of ten characters. */
export function row(name: string, columns: readonly (string | number)[]): string {
  return name.padEnd(44) +
    columns.map((n) => ` ${typeof n === "number" ? n.toFixed(2) : n}`.padStart(10)).join("");
}

function tableRow(figure: Figure): string {
  const { case: name, ms, low, high, cores, gflops, gbs, share, bound, dispatches, host_us, bytes } = figure;
  const speed = bound === "copy" ? `${gbs.toFixed(1)} GB/s` : `${gflops.toFixed(1)} GF/s`;
  const host = dispatches < MANY_DISPATCHES ? "-" : host_us.toFixed(1);
  return row(name, [ms, low, high, cores, speed, `${(100 * share).toFixed(0)} %`, (bytes / 1e6).toFixed(0), host]);
}

function jsonRow({ case: name, ms, gflops, share, ...more }: Figure): string {
  return JSON.stringify({ case: name, ms, gflops, share, ...more });
}
