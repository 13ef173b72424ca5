/// <reference lib="dom" />
/**
 * The buttons of the page, the table of its keys, and the drawers of narrow screens.
 *
 * @module
 */
import { actions, ARROWS } from "./actions.ts";
import { isAbsent } from "./boxes.ts";
import { editor } from "./editor.ts";
import { element, termsOf } from "./elements.ts";
import { type Mode, modes } from "./gestures.ts";
import { flushKeys } from "./history.ts";
import { render } from "./view.ts";

/** Builds the buttons. */
export function buildTools(): void {
  const group = element<HTMLElement>("modes");
  for (const [name, [text, key, doc]] of modes()) {
    const button = buttonOf(`mode-${name}`, text, key, doc, () => setMode(name));
    button.setAttribute("role", "radio");
    group.append(button);
  }
  group.addEventListener("keydown", (event) => {
    const names = modes().map(([name]) => name), by = ARROWS[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const next = names[(names.indexOf(editor.mode) + by[0] + by[1] + names.length) % names.length]!;
    setMode(next);
    element<HTMLButtonElement>(`mode-${next}`).focus();
  });
  for (const { id, text, keys, doc, group, act } of actions()) {
    if (group === "keys") continue;
    const button = buttonOf(`do-${id}`, text, keys[0]!, doc, act);
    if (id === "accept" || id === "reject") button.classList.add(id);
    element(group).append(button);
  }
  const rows: [string, string][] = [
    ...modes().map(([, [text, key, doc]]): [string, string] => [key, `${text}: ${doc}`]),
    ...actions().map(({ keys, text, doc }): [string, string] => [
      keys.join("  "),
      text.length > 1 ? `${text}: ${doc}` : doc,
    ]),
    ["Arrows", "move the selected landmark by a pixel; with Alt 0.1, with Shift 10; without one the picture"],
  ];
  element("keys").replaceChildren(...termsOf(rows));
  setMode(editor.mode);
}

function buttonOf(id: string, text: string, key: string, doc: string, act: () => void): HTMLButtonElement {
  const button = document.createElement("button"), hint = document.createElement("kbd");
  Object.assign(button, { id, type: "button", title: `${doc} (${key})` });
  hint.textContent = key;
  hint.setAttribute("aria-hidden", "true");
  button.append(text, hint);
  button.setAttribute("aria-keyshortcuts", key);
  button.addEventListener("click", act);
  return button;
}

/** Chooses what a drag moves. */
export function setMode(next: Mode): void {
  flushKeys();
  const turned = (next === "boxes") !== (editor.mode === "boxes");
  editor.mode = next;
  if (editor.open && turned) {
    // The boxes are about the whole picture, the landmarks about a face.
    if (next === "boxes" || isAbsent()) editor.stage.frameAll();
    else editor.stage.frame(editor.open.state.landmarks);
    editor.selected = null;
  }
  for (const [name] of modes()) {
    const button = element<HTMLButtonElement>(`mode-${name}`);
    button.setAttribute("aria-checked", String(name === editor.mode));
    button.tabIndex = name === editor.mode ? 0 : -1;
    // On a narrow screen the modes scroll.
    if (name === editor.mode) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  if (editor.open) render();
}

/** Drawers of narrow screens. */
export const DRAWERS = { "toggle-list": "list", "toggle-side": "side" } as const;

/** Closes the drawers; of one that is named, opens it if it was closed. */
export function closeDrawers(except?: string): void {
  for (const [button, drawer] of Object.entries(DRAWERS)) {
    const stays = drawer === except && !element(drawer).classList.contains("open");
    element(drawer).classList.toggle("open", stays);
    element(button).setAttribute("aria-expanded", String(stays));
  }
}
