/// <reference lib="dom" />
/**
 * Elements of the page, and what it says to the person.
 *
 * @module
 */

/** Timer of a browser. */
export type Timer = ReturnType<typeof setTimeout> | undefined;

/** Time for which a message stays. */
const MESSAGE_MS = 6000;

let messageTimer: Timer;

/** An element of the page. */
export const element = <T extends Element>(id: string) => document.getElementById(id) as unknown as T;

/** True if a box is ticked. */
export const checked = (id: string) => element<HTMLInputElement>(id).checked;

/** Terms with what they mean, for a `dl`. */
export function termsOf(rows: readonly (readonly [term: string, value: string])[]): HTMLElement[] {
  return rows.flatMap(([name, text]) => {
    const [term, value] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, value.textContent] = [name, text];
    return [term, value];
  });
}

/** Shows what has happened; it goes away by itself, and by an empty text. */
export function say(text: string): void {
  const message = element<HTMLElement>("message");
  message.textContent = text;
  message.hidden = !text;
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => message.hidden = true, MESSAGE_MS);
}

/** Shows whether all is on the disk. */
export function status(text: string, failed = false): void {
  const line = element<HTMLElement>("status");
  line.textContent = text;
  line.classList.toggle("failed", failed);
}
