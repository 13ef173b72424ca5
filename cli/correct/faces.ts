/// <reference lib="dom" />
/**
 * The faces of the folder: their list, its order, and the way from one to the next.
 *
 * @module
 */
import { type FaceSummary, nextFaces, openFace, pictureOf, ServerError } from "./api.ts";
import { comparedText, comparedValue, compareOpen } from "./compare.ts";
import { editor } from "./editor.ts";
import { element, say, type Timer } from "./elements.ts";
import { commit, flushKeys } from "./history.ts";
import { render } from "./view.ts";

/** Time after which the order follows new doubts. */
const ORDER_MS = 1000;

let order: number[] = [];
let url = "";
let orderTimer: Timer;
const items = new Map<number, HTMLButtonElement>();

function matches({ verdict, changed, absent }: FaceSummary): boolean {
  const filter = element<HTMLSelectElement>("filter").value;
  if (absent) return filter === "all" || filter === "empty";
  return filter === "all" || (filter === "open" ? !verdict : filter === "changed" ? changed : verdict === filter);
}

/** Puts the faces in order and fills the list. */
export async function arrange(): Promise<void> {
  const by = element<HTMLSelectElement>("order").value;
  const useful = by === "next" ? await nextFaces().catch(() => []) : [];
  // A picture without a face is listed as such, and one with faces by these.
  const known = new Set(editor.faces.filter(({ absent }) => !absent).map(({ file_name }) => file_name));
  const faces = by === "next" ? useful.map((index) => editor.faces[index]!) : editor.faces;
  const shown = faces.filter((face) => matches(face) && !(face.absent && known.has(face.file_name)));
  const value = (face: FaceSummary) => comparedValue(by, face);
  if (shown.some((face) => value(face) !== undefined)) shown.sort((a, b) => value(b)! - value(a)! || a.index - b.index);
  if (by === "doubt") shown.sort((a, b) => (b.doubt ?? -1) - (a.doubt ?? -1) || a.index - b.index);
  order = shown.map(({ index }) => index);
  const list = element<HTMLOListElement>("faces");
  list.replaceChildren(...order.map((index) => {
    const item = document.createElement("li");
    item.append(itemOf(index));
    return item;
  }));
  if (!order.length) {
    const item = document.createElement("li");
    item.className = "empty";
    item.textContent = "There is no such face.";
    list.append(item);
  }
}

function itemOf(index: number): HTMLButtonElement {
  const known = items.get(index);
  if (known) return known;
  const button = document.createElement("button"),
    image = document.createElement("img"),
    text = document.createElement("span");
  button.type = "button";
  button.dataset["face"] = String(index);
  image.src = `thumb/${index}`;
  image.loading = "lazy";
  image.alt = "";
  button.append(image, text);
  button.onclick = () => void show(index);
  items.set(index, button);
  paintItem(index);
  return button;
}

function paintItem(index: number): void {
  const button = items.get(index), face = editor.faces[index];
  if (!button || !face) return;
  const { file_name, face: number, doubt, verdict, changed, added, absent, revision } = face;
  button.className = `face ${absent ? "" : verdict ?? ""}`;
  if (button.dataset["absent"] !== undefined && button.dataset["absent"] !== String(absent)) {
    button.querySelector("img")!.src = `thumb/${index}?${revision}`;
  }
  button.dataset["absent"] = String(absent);
  button.setAttribute("aria-current", String(index === editor.open?.index));
  const facts = document.createElement("small"), mark = document.createElement("b");
  mark.className = absent ? "" : verdict ?? "";
  mark.textContent = absent ? "no face" : verdict ?? (changed ? "corrected" : added ? "added" : "");
  const known = editor.folder.compare ? comparedText(face) : doubt === null ? "" : `doubt ${doubt.toFixed(1)} %`;
  facts.append(known && mark.textContent ? `${known}, ` : known, mark);
  const name = file_name.replace(/^.*\//, "") + (number > 1 ? `, face ${number}` : "");
  button.lastElementChild!.replaceChildren(name, facts);
}

/** Shows how much is done. */
export function showProgress(): void {
  const there = editor.faces.filter(({ absent }) => !absent),
    decided = there.filter(({ verdict }) => verdict).length,
    changed = there.filter((face) => face.changed).length;
  element("progress").textContent = `${decided} of ${there.length} decided, ${changed} corrected`;
}

/** Takes the lines of all faces. */
export async function takeFaces(faces: readonly FaceSummary[]): Promise<void> {
  editor.faces = [...faces];
  for (const index of items.keys()) paintItem(index);
  showProgress();
  await arrange();
  render();
}

/** Takes a face's new line. */
export function takeSummary(summary: FaceSummary): void {
  const before = editor.faces[summary.index];
  editor.faces[summary.index] = summary;
  paintItem(summary.index);
  showProgress();
  if (before?.absent !== summary.absent) return void arrange();
  // A face that is worked on keeps its place.
  if (before && (before.doubt !== summary.doubt || !before.compare !== !summary.compare)) {
    clearTimeout(orderTimer);
    orderTimer = setTimeout(() => void arrange(), ORDER_MS);
  }
}

/** Opens a face. */
export async function show(index: number): Promise<void> {
  flushKeys();
  editor.coming = index;
  try {
    const { open } = editor;
    const isSame = open && editor.faces[open.index]?.file_name === editor.faces[index]?.file_name;
    const [details, picture] = await Promise.all([openFace(index), isSame ? open.picture : pictureOf(index)]);
    if (editor.coming !== index) return; // another one was asked for meanwhile
    editor.coming = undefined;
    const before = editor.open?.index;
    if (before !== index) say(""); // it was about the face before
    const { state, revision, undo, redo, width, height, summary } = details;
    const fresh = { known: state, sent: undefined, stale: false, waiting: 0 };
    editor.open = { index, details, state, revision, undo, redo, picture, ...fresh };
    [editor.selected, editor.hovered] = [null, null];
    // A box may be drawn while the face of the one before it comes.
    if (!isSame || editor.drag?.grip.kind !== "new") editor.drag = undefined;
    if (!isSame) {
      if (url) URL.revokeObjectURL(url);
      url = URL.createObjectURL(picture);
      editor.stage.open(url, width, height);
    }
    if (editor.mode !== "boxes" && !summary.absent) editor.stage.frame(state.landmarks);
    else if (!isSame || before === index) editor.stage.frameAll();
    history.replaceState(null, "", `#${index}`);
    for (const changed of [before, index]) if (changed !== undefined) paintItem(changed);
    items.get(index)?.scrollIntoView({ block: "nearest" });
    const name = summary.file_name.replace(/^.*\/(?=[^/]+\/[^/]+$)/, "");
    element<HTMLElement>("title").title = summary.file_name;
    element("title").textContent = name +
      (summary.absent ? ", no face" : summary.face > 1 ? `, face ${summary.face}` : "");
    render();
    const line = await compareOpen();
    if (!line) return;
    takeSummary(line);
    render();
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    if (editor.coming === index) editor.coming = undefined;
    say(error.message);
  }
}

/** Opens the face that the address names, or the first one. */
export async function showFirst(): Promise<void> {
  const asked = /^#(\d+)$/.exec(location.hash)?.[1];
  const first = asked !== undefined && editor.faces[Number(asked)] ? Number(asked) : order[0];
  if (first !== undefined) await show(first);
}

/** Opens the face before or behind in the list. */
export function go(by: number): void {
  if (!order.length) return;
  const at = order.indexOf(editor.coming ?? editor.open?.index ?? -1);
  const next = at < 0 ? 0 : at + by;
  if (next < 0 || next >= order.length) {
    return say(by > 0 ? "This is the last face of the list." : "This is the first one.");
  }
  show(order[next]!);
}

/** Accepts or rejects the open face, or takes that back. */
export function judge(verdict: "accepted" | "rejected"): void {
  if (!editor.open || editor.coming !== undefined) return; // a key that is held does not judge what nobody has seen
  if (editor.faces[editor.open.index]!.absent) {
    return say("There is no face here: draw a box around one in the mode Boxes (6), or press i.");
  }
  flushKeys();
  const again = editor.open.state.verdict === verdict;
  commit({ verdict: again ? null : verdict });
  // A box that is taken away leaves the others of its picture to work on.
  if (!again && !(editor.mode === "boxes" && verdict === "rejected")) go(1);
}
