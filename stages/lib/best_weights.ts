/**
 * The best weights of a training.
 *
 * @module
 */

import { readTextIfExists } from "../../formats/files.ts";
import { NETWORK_FILES } from "./artifacts.ts";

/** The best weights so far, kept through restarts. */
export class BestCheckpoint {
  /** Step of the best weights, once there are some. */
  step = 0;
  readonly #dir: string;

  /** @param dir Where they are kept. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Keeps the weights if they are the best; returns the steps since the best ones. */
  async update(step: number, nme: number, save: (dir: string) => Promise<void>): Promise<number> {
    const path = `${this.#dir}/best.json`;
    const before = readTextIfExists(path);
    const known = before === undefined ? null : JSON.parse(before) as { step: number; nme: number };
    // After a restart the steps since the checkpoint come again, with the same figures.
    if (known && known.nme <= nme && known.step !== step) this.step = known.step;
    else {
      await save(this.#dir);
      await Deno.writeTextFile(path, JSON.stringify({ step, nme }));
      this.step = step;
    }
    return step - this.step;
  }

  /** Copies the detector of the best weights. */
  async copyTo(dir: string): Promise<void> {
    for (const file of NETWORK_FILES) {
      await Deno.copyFile(`${this.#dir}/${file}`, `${dir}/${file}`);
    }
  }
}
