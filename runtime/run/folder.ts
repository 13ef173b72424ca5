/**
 * A run's folder on disk: its log, and folders that are whole at any moment.
 *
 * @module
 */
import { join } from "node:path";
import { CORRECTIONS } from "../../formats/corrections.ts";
import { exists, fileNames, removeIfExists } from "../../formats/files.ts";
import { readManifest } from "./cache.ts";
import type { Reporter, RunEvent } from "./progress.ts";

/** Interval of progress in the log. */
const PROGRESS_EVERY_MS = 10_000;

/** The most that a log's file grows to, bytes. */
export const LOG_BYTES = 1 << 20;

/**
 * A run's log, `log.jsonl`: every event of every run in the folder, each on a line with its time. What is older than the
 * file can hold is in `log.1.jsonl`, and what is older than that is gone.
 */
export class RunLog implements Disposable {
  #file: Deno.FsFile;
  #size: number;
  readonly #reported = new Map<string, number>();
  /** Lines that a new file begins with, as readers look for them: the run, and the stages that go on. */
  readonly #start = new Map<string, string>();

  /** Opens the log for appending; passes all events to a reporter, too. */
  constructor(private readonly home: string, private readonly reporter: Reporter) {
    this.#file = Deno.openSync(join(home, "log.jsonl"), { read: true, append: true, create: true });
    this.#size = this.#file.statSync().size;
    const last = new Uint8Array(1);
    if (this.#size > 0) {
      this.#file.seekSync(-1, Deno.SeekMode.End);
      this.#file.readSync(last);
    }
    // A killed run may have left half a line.
    if (this.#size > 0 && last[0] !== 10) this.#append("\n");
  }

  /** Emits an event; progress goes to the file only now and then. */
  emit(event: RunEvent): void {
    try {
      this.#write(event);
    } finally {
      // After the file, so that the receiver finds it there.
      this.reporter.event(event);
    }
  }

  #write(event: RunEvent): void {
    if (event.event === "progress") {
      const now = performance.now();
      if (now - (this.#reported.get(event.stage) ?? -Infinity) < PROGRESS_EVERY_MS) return;
      this.#reported.set(event.stage, now);
    }
    const line = `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`;
    if (this.#size + line.length > LOG_BYTES) this.#turn();
    this.#append(line);
    if (event.event === "run") this.#start.set("", line);
    if (event.event === "stage") this.#start.set(event.stage, line);
    if (event.event === "done") this.#start.delete(event.stage);
  }

  /** Goes on in a new file. */
  #turn(): void {
    const path = join(this.home, "log.jsonl");
    this.#file.close();
    Deno.renameSync(path, join(this.home, "log.1.jsonl"));
    this.#file = Deno.openSync(path, { append: true, create: true });
    this.#size = 0;
    this.#append([...this.#start.values()].join(""));
  }

  #append(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.#file.writeSync(bytes);
    this.#size += bytes.length;
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/**
 * Puts a whole folder in the place of another. Corrections by hand stay: those that are of faces which are no longer there
 * are refused by whoever reads the folder.
 */
export function replaceFolder(from: string, to: string): void {
  const old = `${from}.old`;
  removeIfExists(old);
  const kept = exists(to) ? fileNames(to).filter((name) => name.startsWith(CORRECTIONS)) : [];
  for (const name of kept) Deno.copyFileSync(join(to, name), join(from, name));
  if (exists(to)) Deno.renameSync(to, old);
  Deno.renameSync(from, to);
  removeIfExists(old);
}

/** Folder of a stage's artifact while it is made. */
export const tempDirOf = (home: string, id: string): string => join(home, `.${id}.tmp`);

/** Ends replacements of stages' folders that were cut off between their two renames. */
export function recover(ids: readonly string[], home: string): void {
  for (const id of ids) {
    const [draft, dir] = [tempDirOf(home, id), join(home, id)];
    if (readManifest(draft)) {
      replaceFolder(draft, dir);
      removeIfExists(join(home, ".work", id));
    }
    removeIfExists(draft);
    removeIfExists(`${draft}.old`);
  }
}
