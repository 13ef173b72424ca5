/// <reference lib="dom" />
/**
 * The landmark that is selected, and the one under the pointer.
 *
 * @module
 */
import { editor, featureOf } from "./editor.ts";
import { element, say } from "./elements.ts";
import { render } from "./view.ts";

/** Selects a landmark; null for none. */
export function select(p: number | null, focus = false): void {
  editor.selected = p;
  if (p !== null && focus) editor.stage.focus(p);
  render();
}

/** Selects the next or previous landmark. */
export function cycle(by: number): void {
  const count = editor.folder.schema.count;
  select(editor.selected === null ? (by > 0 ? 0 : count - 1) : (editor.selected + by + count) % count, true);
}

/** Selects the first landmark of the next feature. */
export function nextFeature(): void {
  const at = editor.selected === null ? -1 : editor.features.indexOf(featureOf(editor.selected));
  select(editor.features[(at + 1) % editor.features.length]!.points[0]!, true);
}

/** The selected landmark; says what to do where there is none. */
export function needed(): number | null {
  if (editor.selected === null) say("Select a landmark first: press on it, or ] to go through them.");
  return editor.selected;
}

/** Shows what is under the pointer. */
export function hover(p: number | null): void {
  if (p === editor.hovered || editor.drag) return;
  editor.hovered = p;
  element("stage").classList.toggle("over", p !== null);
  render();
}
