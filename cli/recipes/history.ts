/**
 * Texts of a file: undo and redo without end.
 *
 * @module
 */

/** Changes of one kind that follow each other within this time are one. */
const TOGETHER_MS = 1200;

/** See the module. */
export class History {
  readonly #texts: string[];
  #at = 0;
  #last = { group: "", time: -Infinity };

  /** Takes the first text. */
  constructor(text: string) {
    this.#texts = [text];
  }

  /** The text that counts. */
  get text(): string {
    return this.#texts[this.#at]!;
  }

  /** True if there is a text before. */
  get canUndo(): boolean {
    return this.#at > 0;
  }

  /** True if there is a text that was undone. */
  get canRedo(): boolean {
    return this.#at + 1 < this.#texts.length;
  }

  /**
   * Adds a text; those that were undone are gone.
   *
   * @param group Kind of the change, such as the path of a value: a drag of its slider is one change.
   * @param now Time, milliseconds.
   */
  add(text: string, group: string, now: number = Date.now()): void {
    if (text === this.text) return;
    const together = this.#at > 0 && group === this.#last.group && now - this.#last.time < TOGETHER_MS;
    if (!together) this.#at++;
    this.#texts.splice(this.#at, Infinity, text);
    this.#last = { group, time: now };
  }

  /** Goes a text back or on. */
  step(direction: "undo" | "redo"): void {
    this.#at = Math.min(Math.max(this.#at + (direction === "undo" ? -1 : 1), 0), this.#texts.length - 1);
    this.#last = { group: "", time: -Infinity };
  }
}
