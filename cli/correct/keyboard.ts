/// <reference lib="dom" />
/**
 * The keys of the page.
 *
 * @module
 */
import { actions, ARROWS } from "./actions.ts";
import type { Point } from "./api.ts";
import { nudgeBox } from "./boxes.ts";
import { editor } from "./editor.ts";
import { element } from "./elements.ts";
import { modes, nudge } from "./gestures.ts";
import { setMode } from "./toolbar.ts";

/** Steps of the arrow keys, pixels of the picture; with them alone the picture, pixels of the screen. */
const STEP_PX = 1, FINE_PX = 0.1, COARSE_PX = 10, PAN_PX = 40;

/** Does what a key stands for. */
export function onKey(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (document.querySelector("dialog[open]") || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
  const isButton = target.tagName === "BUTTON";
  // A button has its own Enter and space bar.
  if (isButton && (event.key === "Enter" || event.key === " ")) return;
  if (event.key === " ") {
    editor.stage.panning = true;
    return event.preventDefault();
  }
  const arrow = ARROWS[event.key];
  const control = event.ctrlKey || event.metaKey;
  if (arrow && (!control || editor.mode === "boxes")) {
    if (isButton && target.closest("#list")) return moveInList(event, arrow);
    event.preventDefault();
    const size = event.altKey ? FINE_PX : event.shiftKey ? COARSE_PX : STEP_PX;
    const by: Point = [size * arrow[0], size * arrow[1]];
    if (editor.mode === "boxes" && nudgeBox(by, control)) return;
    if (editor.selected !== null) return nudge(size * arrow[0], size * arrow[1]);
    return editor.stage.pan(-PAN_PX * arrow[0], -PAN_PX * arrow[1]);
  }
  if (event.altKey) return;
  const key = control ? `Ctrl+${event.key}` : event.key;
  const chosen = modes().find(([, [, digit]]) => digit === key)?.[0];
  if (chosen) return setMode(chosen);
  const action = actions().find(({ keys }) => keys.includes(key));
  if (!action || element<HTMLButtonElement>(`do-${action.id}`)?.disabled) return;
  event.preventDefault();
  action.act();
}

function moveInList(event: KeyboardEvent, [, dy]: Point): void {
  const buttons = [...element("faces").querySelectorAll("button")];
  const next = buttons[buttons.indexOf(event.target as HTMLButtonElement) + dy];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
