/**
 * The progress of `detect` and its last line.
 *
 * @module
 */
import { counted } from "../formats/numbers.ts";
import { type Reporter, reporterFor } from "../runtime/run/progress.ts";
import type { Context } from "./command.ts";

/** Numbers of pictures, faces and failures, shown while they grow and printed at the end. */
export class Tally {
  readonly #started = performance.now();
  readonly #total: number;
  readonly #open: number;
  readonly #note: Context["note"];
  readonly #progress: Reporter | undefined;
  #done: number;
  #faces = 0;
  #failed = 0;

  /**
   * @param total Number of pictures.
   * @param open Number of those that were not done by an earlier run.
   */
  constructor(total: number, open: number, { note, progress }: Context) {
    this.#total = total;
    this.#open = open;
    this.#done = total - open;
    this.#note = note;
    this.#progress = progress && reporterFor(progress);
  }

  /** Counts a picture. */
  add(faces: number, isFailed: boolean): void {
    this.#done++;
    this.#faces += faces;
    if (isFailed) this.#failed++;
    this.#progress?.event({
      event: "progress",
      stage: "detect",
      done: this.#done,
      total: this.#total,
      fields: { faces: this.#faces, ...(this.#failed && { failed: this.#failed }) },
    });
  }

  /** Prints the numbers; returns that of the failures. */
  end(): number {
    const seconds = (performance.now() - this.#started) / 1000;
    this.#progress?.event({ event: "done", stage: "detect", seconds });
    this.#note(
      `${counted(this.#open, "picture")}, ${counted(this.#faces, "face")}, ${this.#failed} failed, ` +
        `${(this.#open / seconds).toFixed(1)} pictures a second`,
    );
    return this.#failed;
  }
}
