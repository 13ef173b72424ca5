/**
 * Display of a running pipeline: a bar on a terminal, a plain line now and then elsewhere.
 *
 * @module
 */
import { formatBytes, formatScaled } from "../../formats/numbers.ts";
import { printable } from "../../formats/printable.ts";
import type { Field } from "../stage.ts";
import { itemAt } from "../../engine/lookup.ts";

/** Event of a run: the lines of `log.jsonl` and of `run --json`, which have a `time` as well. */
export type RunEvent =
  | {
    readonly event: "run";
    readonly pipeline: string;
    readonly file: string;
    /** Values of `--set`, as they were given. */
    readonly set: readonly string[];
    readonly process: number;
    readonly device?: string;
  }
  | { readonly event: "skip"; readonly stage: string; readonly number: number; readonly of: number }
  | {
    readonly event: "stage";
    readonly stage: string;
    readonly uses: string;
    readonly reason: string;
    readonly number: number;
    readonly of: number;
  }
  | {
    readonly event: "progress";
    readonly stage: string;
    readonly done: number;
    readonly total: number;
    readonly fields: Readonly<Record<string, Field>>;
  }
  | { readonly event: "log"; readonly stage: string; readonly text: string }
  | { readonly event: "done"; readonly stage: string; readonly seconds: number }
  | { readonly event: "end"; readonly status: "done" }
  | {
    readonly event: "end";
    readonly status: "failed" | "interrupted";
    readonly stage: string;
    readonly message: string;
  };

/** Receives the events of a run. */
export interface Reporter {
  /** Something happened. */
  event(event: RunEvent): void;
}

/** Prints nothing. */
export const silent: Reporter = { event() {} };

/** Output of a reporter. */
export interface Output {
  /** See `Deno.stdout`. */
  writeSync(bytes: Uint8Array): number;
  /** See `Deno.stdout`. */
  isTerminal(): boolean;
}

const PLAIN_EVERY_MS = 10_000;
const BAR_EVERY_MS = 100;
const JSON_EVERY_MS = 1000;
const RATE_WINDOW_MS = 30_000;

/** A JSON line for each event, for machines; progress of a stage at most once a second. */
export function jsonReporter(out: Output, now: () => number = () => performance.now()): Reporter {
  const reported = new Map<string, number>();
  return {
    event(event) {
      if (event.event === "progress" && event.done < event.total) {
        if (now() - (reported.get(event.stage) ?? -Infinity) < JSON_EVERY_MS) return;
        reported.set(event.stage, now());
      }
      const line = { time: new Date().toISOString(), ...event };
      out.writeSync(new TextEncoder().encode(`${printable(JSON.stringify(line))}\n`));
    },
  };
}

/** Work that was done by a time, ms. */
interface Sample {
  readonly time: number;
  readonly done: number;
}

/** Progress of a stage, as a reporter has seen it. */
interface Course {
  readonly samples: Sample[];
  /** Time at which it was last printed, ms. */
  printed?: number;
  /** Its form when several share a line. */
  brief: string;
}

/** Adds a sample to those of the last half minute; returns their rate per second, 0 while it is not known. */
function addSample({ samples }: Course, sample: Sample): number {
  samples.push(sample);
  const oldest = () => itemAt(samples, 0, "samples");
  while (samples.length > 2 && sample.time - oldest().time > RATE_WINDOW_MS) samples.shift();
  const { time, done } = oldest();
  return sample.time > time ? (sample.done - done) * 1000 / (sample.time - time) : 0;
}

/** A bar that is drawn over if `out` is a terminal, else a line every ten seconds for each stage that goes on. */
export function reporterFor(out: Output, now: () => number = () => performance.now()): Reporter {
  const terminal = out.isTerminal();
  const print = (text: string) => void out.writeSync(new TextEncoder().encode(text));
  const clear = terminal ? "\r\x1b[K" : "";
  const line = (text: string) => print(`${clear}${printable(text)}\n`);
  const going = new Map<string, Course>();
  // A line names its stage only where several are on their way.
  const about = (name: string) => going.size > 1 ? `${name}: ` : "";
  const begin = (name: string): Course => {
    const course = { samples: [], brief: name };
    going.set(name, course);
    return course;
  };
  const update = ({ stage: name, done, total, fields }: Extract<RunEvent, { event: "progress" }>) => {
    const time = now();
    const course = going.get(name) ?? begin(name);
    // A first plain line only after a while: quick stages need none.
    course.printed ??= terminal ? -Infinity : time;
    const rate = addSample(course, { time, done });
    if (time - course.printed < (terminal ? BAR_EVERY_MS : PLAIN_EVERY_MS)) return;
    course.printed = time;
    const words = [
      `${done}/${total}`,
      rate > 0 ? formatRate(rate) : "",
      rate > 0 && done < total ? `${formatSeconds((total - done) / rate)} left` : "",
      ...Object.entries(fields).map(([key, value]) => `${key} ${formatField(value, key)}`),
    ].filter(Boolean);
    if (!terminal) return line(`      ${name}  ${words.join("  ")}`);
    const width = Deno.consoleSize().columns;
    const share = done / Math.max(1, total);
    course.brief = `${name} ${drawBar(share, 12)} ${words.slice(0, 3).join("  ")}`;
    const bars = going.size > 1
      ? [...going.values()].map(({ brief }) => brief).join("   ")
      : `${name} ${drawBar(share, 24)} ${words.join("  ")}`;
    print(`${clear}${printable(bars).slice(0, width - 1)}`);
  };
  return {
    event(event) {
      switch (event.event) {
        case "run":
          return event.device === undefined ? undefined : line(`device: ${event.device}`);
        case "skip":
          return line(`[${event.number}/${event.of}] ${event.stage}: up to date`);
        case "stage":
          begin(event.stage);
          return line(`[${event.number}/${event.of}] ${event.stage} (${event.uses}): ${event.reason}`);
        case "progress":
          return update(event);
        case "log":
          return line(`      ${about(event.stage)}${event.text}`);
        case "done":
          line(`      ${about(event.stage)}done in ${formatSeconds(event.seconds)}`);
          going.delete(event.stage);
      }
    },
  };
}

function drawBar(share: number, width: number): string {
  const full = Math.round(Math.min(1, share) * width);
  return "━".repeat(full) + "─".repeat(width - full);
}

function formatRate(perSecond: number): string {
  return perSecond >= 1 ? `${perSecond.toFixed(1)}/s` : `${(1 / perSecond).toFixed(1)} s each`;
}

/** `4.2 s`, `3:07` or `1:02:03`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [first, ...rest] = parts[0] ? parts : parts.slice(1);
  return [first, ...rest.map((part) => String(part).padStart(2, "0"))].join(":");
}

/** A value as people read it: measures as papers print them, whole numbers as they are, others to four digits. */
export function formatField(value: Field | undefined, name = ""): string {
  if (typeof value !== "number") return String(value ?? "");
  if (/^(nme|fr)_/.test(name)) return value.toFixed(2);
  if (/^auc_/.test(name)) return value.toFixed(4);
  if (/(^|_)bytes$/.test(name)) return formatBytes(value);
  if (/(^|_)(parameters|flops)$/.test(name)) return formatScaled(value);
  if (Number.isInteger(value) || !Number.isFinite(value)) return String(value);
  const short = Number(value.toPrecision(4));
  return Math.abs(short) < 1e-3 ? short.toExponential() : String(short);
}

/** Rows as aligned text; rows with other columns make a table of their own. */
export function formatTable(rows: readonly Readonly<Record<string, Field>>[]): string {
  const tables = new Map<string, Readonly<Record<string, Field>>[]>();
  for (const row of rows) {
    const columns = Object.keys(row).join("\t");
    tables.set(columns, [...tables.get(columns) ?? [], row]);
  }
  return [...tables].map(([columns, group]) => {
    const aligned = columns.split("\t").map((name) => {
      const cells = [name, ...group.map((row) => formatField(row[name], name))];
      const width = Math.max(...cells.map(({ length }) => length));
      const numeric = group.every((row) => typeof row[name] === "number");
      return cells.map((text) => numeric ? text.padStart(width) : text.padEnd(width));
    });
    const lineOf = (index: number) => aligned.map((cells) => cells[index]).join("  ").trimEnd();
    const [head, ...lines] = [lineOf(0), ...group.map((_, i) => lineOf(i + 1))];
    return [head, "-".repeat(Math.max(...[head, ...lines].map(({ length }) => length))), ...lines].join("\n");
  }).join("\n\n");
}
