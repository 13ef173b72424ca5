/**
 * Times that stages took on this machine, and estimates of others from them.
 *
 * The figures are in `.speeds.json` in the folder of the runs, by adapter and stage type. They cover whole stages, reading
 * and compiling included, so that an estimate is wall time.
 *
 * @module
 */
import { join } from "node:path";
import { readJsonIfUsable, writeAtomic } from "../../formats/files.ts";
import type { Costs } from "../stage.ts";

/** Work of a stage, and the time that it took. */
export interface Timing {
  /** Wall time. */
  readonly seconds: number;
  /** Floating point operations of its steps, if reported. */
  readonly flops?: number;
  /** Images it made, if reported. */
  readonly images?: number;
}

/** The figures of a machine. */
export interface Timings {
  /** The adapter that was used last. */
  readonly adapter: string;
  /** Timings by adapter, `none` for stages that use no GPU, and then by stage type; `bench` is a training step. */
  readonly known: Readonly<Record<string, Readonly<Record<string, Timing>>>>;
}

/** An estimate of a time. */
export interface Estimate {
  /** Wall time. */
  readonly seconds: number;
  /** True if it is by the speed of another kind of stage, and so within a factor of about three. */
  readonly rough: boolean;
}

const NO_GPU = "none";
/** A shorter run says little about longer ones, and does not replace an earlier timing. */
const LONG_SECONDS = 60;

const fileOf = (root: string) => join(root, ".speeds.json");

/** The figures in a folder of runs; undefined when there are none, or none that can be read. */
export function readTimings(root: string): Timings | undefined {
  const speeds = readJsonIfUsable<Partial<Timings>>(fileOf(root));
  return typeof speeds?.adapter === "string" && speeds.known ? speeds as Timings : undefined;
}

/**
 * Keeps a figure for later estimates.
 *
 * @param root The folder of runs.
 * @param adapter Null for a stage that used no GPU.
 * @param uses The stage type, or `bench`.
 */
export function recordTiming(root: string, adapter: string | null, uses: string, speed: Timing): void {
  const before = readTimings(root);
  const place = adapter ?? NO_GPU;
  const old = before?.known[place]?.[uses];
  if (old && speed.seconds < LONG_SECONDS && speed.seconds < old.seconds) return;
  const speeds: Timings = {
    adapter: adapter ?? before?.adapter ?? NO_GPU,
    known: { ...before?.known, [place]: { ...before?.known[place], [uses]: speed } },
  };
  writeAtomic(fileOf(root), `${JSON.stringify(speeds, null, 2)}\n`);
}

/** Work that costs name. */
export function workOf({ step_flops, steps, images }: Costs): Omit<Timing, "seconds"> {
  return {
    ...(typeof step_flops === "number" && typeof steps === "number" && { flops: step_flops * steps }),
    ...(typeof images === "number" && { images }),
  };
}

/** Estimates the time of a stage; undefined when nothing like it is known. */
export function estimate(uses: string, costs: Costs, speeds: Timings | undefined): Estimate | undefined {
  if (!speeds) return undefined;
  const { flops, images } = workOf(costs);
  const own = speeds.known[speeds.adapter] ?? {};
  const same = own[uses] ?? speeds.known[NO_GPU]?.[uses];
  if (flops !== undefined) {
    const others = [same, own["bench"], ...Object.values(own)];
    for (const like of others) {
      if (like?.flops) return { seconds: like.seconds * flops / like.flops, rough: like !== same };
    }
    return undefined;
  }
  if (!same) return undefined;
  const times = images !== undefined && same.images ? images / same.images : 1;
  return { seconds: same.seconds * times, rough: false };
}

/** Formats a duration: `about 4 min`. */
export function formatDuration(seconds: number): string {
  const units = [["s", 60], ["min", 60], ["h", 48], ["days", Infinity]] as const;
  let left = seconds;
  for (const [unit, most] of units) {
    if (left < most) {
      return `about ${left < 10 && unit !== "s" ? Number(left.toPrecision(2)) : Math.ceil(left)} ${unit}`;
    }
    left /= unit === "h" ? 24 : 60;
  }
  throw new RangeError(`Cannot tell ${seconds} s in words`);
}
