/**
 * How a run looks while it goes on: a bar on a terminal, a plain line now and then elsewhere.
 *
 * @module
 */
import type { Field } from "./stage.ts";

/** Receives what happens in a run. */
export interface Reporter {
  /** A line about the run. */
  line(text: string): void;
  /** The running stage is at `done` of `total`. */
  update(label: string, done: number, total: number, fields: Readonly<Record<string, Field>>): void;
}

/** Prints nothing. */
export const silent: Reporter = { line() {}, update() {} };

const plainEveryMs = 10_000;
const barEveryMs = 100;
const rateWindowMs = 30_000;

/** A bar that is drawn over if `out` is a terminal, else a line every ten seconds. */
export function reporterFor(
  out: { writeSync(bytes: Uint8Array): number; isTerminal(): boolean },
  now: () => number = () => performance.now(),
): Reporter {
  const terminal = out.isTerminal();
  const print = (text: string) => void out.writeSync(new TextEncoder().encode(text));
  const clear = terminal ? "\r\x1b[K" : "";
  let label = "";
  let printed = -Infinity;
  let samples: { time: number; done: number }[] = [];
  return {
    line: (text) => print(`${clear}${text}\n`),
    update(name, done, total, fields) {
      const time = now();
      if (name !== label) {
        label = name;
        samples = [];
        // A first plain line only after a while: quick stages need none.
        printed = terminal ? -Infinity : time;
      }
      samples.push({ time, done });
      while (samples.length > 2 && time - samples[0]!.time > rateWindowMs) samples.shift();
      if (time - printed < (terminal ? barEveryMs : plainEveryMs)) return;
      printed = time;
      const first = samples[0]!;
      const rate = time > first.time ? (done - first.done) * 1000 / (time - first.time) : 0;
      const words = [
        `${done}/${total}`,
        rate > 0 ? formatRate(rate) : "",
        rate > 0 && done < total ? `${formatSeconds((total - done) / rate)} left` : "",
        ...Object.entries(fields).map(([key, value]) => `${key} ${formatField(value, key)}`),
      ].filter(Boolean).join("  ");
      if (!terminal) return print(`      ${label}  ${words}\n`);
      const width = Deno.consoleSize().columns;
      const bar = drawBar(done / Math.max(1, total), 24);
      print(`${clear}${`${label} ${bar} ${words}`.slice(0, width - 1)}`);
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
  if (/(^|_)bytes$/.test(name)) return `${scaled(value)}B`;
  if (/(^|_)(parameters|flops)$/.test(name)) return scaled(value).trimEnd();
  if (Number.isInteger(value) || !Number.isFinite(value)) return String(value);
  const short = Number(value.toPrecision(4));
  return Math.abs(short) < 1e-3 ? short.toExponential() : String(short);
}

/** `12.3 M`; the unit is to follow. */
function scaled(value: number): string {
  const power = Math.min(5, Math.max(0, Math.floor(Math.log10(Math.abs(value) || 1) / 3)));
  return `${power ? (value / 1000 ** power).toPrecision(3) : value} ${["", "k", "M", "G", "T", "P"][power]}`;
}

/** Rows as aligned text; rows with other columns make a table of their own. */
export function formatTable(rows: readonly Readonly<Record<string, Field>>[]): string {
  const tables = new Map<string, Readonly<Record<string, Field>>[]>();
  for (const row of rows) {
    const columns = Object.keys(row).join("\t");
    tables.set(columns, [...tables.get(columns) ?? [], row]);
  }
  return [...tables].map(([columns, group]) => {
    const names = columns.split("\t");
    const cells = [names, ...group.map((row) => names.map((name) => formatField(row[name], name)))];
    const numeric = names.map((name) => group.every((row) => typeof row[name] === "number"));
    const widths = names.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
    const align = (text: string, i: number) => numeric[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!);
    const lines = cells.map((line) => line.map(align).join("  ").trimEnd());
    return [lines[0], "-".repeat(Math.max(...lines.map(({ length }) => length))), ...lines.slice(1)].join("\n");
  }).join("\n\n");
}
