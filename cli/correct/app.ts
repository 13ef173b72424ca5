/// <reference lib="dom" />
/**
 * The page of `correct`: faces in the order of doubt, and the landmarks of one of them.
 *
 * @module
 */
import { type Feature, featuresOf } from "../../faces/features.ts";
import { refit } from "../../faces/refit.ts";
import {
  type ChangeEvent,
  type FaceDetails,
  type FaceState,
  type FaceSummary,
  type FaceView,
  type FolderFaces,
  guessFace,
  listen,
  listFaces,
  nextFaces,
  openFace,
  pictureOf,
  type Point,
  ServerError,
  setFace,
  stepFace,
} from "./api.ts";
import { type Grey, greyOf, snapContour } from "./edges.ts";
import { boxOf, dragContour, mirrorFrom, movePoints } from "./shapes.ts";
import { type Grip, nameOf, Stage, svg } from "./stage.ts";

const element = <T extends Element>(id: string) => document.getElementById(id) as unknown as T;

/** Ways in which a drag moves landmarks. */
const MODES = {
  refit: ["Rest follows", "1", "A landmark; those that were not placed by hand follow it"],
  point: ["Point", "2", "One landmark alone"],
  contour: ["Contour", "3", "A landmark, and those beside it on its contour the less the farther they are"],
  feature: ["Feature", "4", "An eye, a brow, the nose, the mouth or the jaw: move, turn, scale"],
  face: ["Face", "5", "All landmarks: move, turn, scale"],
} as const;
type Mode = keyof typeof MODES;
type Timer = ReturnType<typeof setTimeout> | undefined;

/** Pixels of the screen below which a press is no drag; steps of the arrow keys, pixels of the picture. */
const STILL_PX = 2, STEP_PX = 1, FINE_PX = 0.1, COARSE_PX = 10;
/** Reach of snapping, as a share of the face's size. */
const SNAP_SHARE = 0.035;
/** Time after which moves by keys are one change, and after which the order follows new doubts. */
const KEYS_MS = 600, ORDER_MS = 1000, RETRY_MS = 2000, MESSAGE_MS = 6000;

/** The face that is open. */
interface Open {
  readonly index: number;
  readonly details: FaceDetails;
  state: FaceState;
  revision: number;
  undo: number;
  redo: number;
  /** Changes that the server has not noted. */
  waiting: number;
  readonly picture: Blob;
}

/** A drag on its way. */
interface Drag {
  readonly grip: Grip;
  readonly start: Point;
  readonly points: readonly Point[];
  readonly held: number | null;
  moved: boolean;
}

let folder: FolderFaces;
let features: Feature[] = [];
let faces: FaceSummary[] = [];
let order: number[] = [];
/** The face that is on its way. */
let coming: number | undefined;
let open: Open | undefined;
let stage: Stage;
let mode: Mode = "refit";
let selected: number | null = null;
let hovered: number | null = null;
let drag: Drag | undefined;
let visible = true;
let url = "";
let queue: Promise<void> = Promise.resolve();
let keyed: { readonly timer: Timer; readonly state: FaceState } | undefined;
/** Changes of whatever face that the server has not noted. */
let unsaved = 0;
let messageTimer: Timer, orderTimer: Timer;
const items = new Map<number, HTMLButtonElement>();

const checked = (id: string) => element<HTMLInputElement>(id).checked;
const pointsNow = () => open?.state.landmarks ?? [];

/** Shows what has happened; it goes away by itself. */
function say(text: string): void {
  const message = element<HTMLElement>("message");
  message.textContent = text;
  message.hidden = false;
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => message.hidden = true, MESSAGE_MS);
}

/** Shows whether all is on the disk. */
function status(text: string, failed = false): void {
  const line = element<HTMLElement>("status");
  line.textContent = text;
  line.classList.toggle("failed", failed);
}

// Changes -----------------------------------------------------------------------------------------------------------

/** Makes a change of the open face, shows it at once, and has it written. */
function commit(change: Partial<FaceState>): void {
  if (!open) return;
  const face = open, state = { ...face.state, ...change };
  face.state = state;
  render();
  send(face, (revision) => setFace(face.index, state, revision));
}

/** Takes a change back, or does it again. */
function step(direction: "undo" | "redo"): void {
  flushKeys();
  if (!open) return;
  const face = open;
  send(face, (revision) => stepFace(face.index, direction, revision));
}

/** Sends changes one after the other, as each follows the revision of the one before. */
function send(face: Open, change: (revision: number) => Promise<FaceView>): void {
  face.waiting++;
  unsaved++;
  status("Saving");
  queue = queue.then(async () => {
    for (;;) {
      try {
        const view = await change(face.revision);
        face.waiting--;
        unsaved--;
        take(face, view);
        if (!unsaved) status("Saved");
        return;
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        if (error.status !== 0) return await refuse(face, error);
        status("Not saved: the server has stopped", true);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  });
}

/** Takes the state that the server has. */
function take(face: Open, { state, revision, undo, redo }: FaceView): void {
  Object.assign(face, { revision, undo, redo });
  if (face.waiting === 0) face.state = state;
  if (face === open && !drag) render();
}

/** A change that the server refused: the page shows what the server has. */
async function refuse(face: Open, error: ServerError): Promise<void> {
  const view = await openFace(face.index).catch(() => undefined);
  face.waiting--;
  unsaved--;
  if (view) take(face, view);
  status(error.status === 409 ? "Saved" : "Not saved", error.status !== 409);
  say(
    error.status === 409
      ? "This face was changed in another window: its state is shown, and your last change was left out."
      : error.message,
  );
}

/** A change that came from the server: of this window, which knows it, or of another one. */
function receive({ summary, state, revision, undo, redo }: ChangeEvent): void {
  const before = faces[summary.index];
  faces[summary.index] = summary;
  paintItem(summary.index);
  showProgress();
  if (before && before.doubt !== summary.doubt) {
    clearTimeout(orderTimer);
    orderTimer = setTimeout(() => void arrange(), ORDER_MS);
  }
  if (!state || revision === undefined || summary.index !== open?.index || open.waiting || revision <= open.revision) {
    return;
  }
  drag = undefined;
  take(open, { state, revision, undo: undo ?? 0, redo: redo ?? 0 });
  say("Changed in another window.");
}

// Faces -------------------------------------------------------------------------------------------------------------

function matches({ verdict, changed }: FaceSummary): boolean {
  const filter = element<HTMLSelectElement>("filter").value;
  return filter === "all" || (filter === "open" ? !verdict : filter === "changed" ? changed : verdict === filter);
}

/** Puts the faces in order and fills the list. */
async function arrange(): Promise<void> {
  const by = element<HTMLSelectElement>("order").value;
  const useful = by === "next" ? await nextFaces().catch(() => []) : [];
  const shown = by === "next" ? useful.map((index) => faces[index]!).filter(matches) : faces.filter(matches);
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
    item.textContent = "No face is like this.";
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
  button.onclick = () => {
    show(index);
    closeDrawers();
  };
  items.set(index, button);
  paintItem(index);
  return button;
}

function paintItem(index: number): void {
  const button = items.get(index), face = faces[index];
  if (!button || !face) return;
  const { file_name, face: number, doubt, verdict, changed } = face;
  button.className = `face ${verdict ?? ""}`;
  button.setAttribute("aria-current", String(index === open?.index));
  const facts = document.createElement("small"), mark = document.createElement("b");
  mark.className = verdict ?? "";
  mark.textContent = verdict ?? (changed ? "corrected" : "");
  facts.append(doubt === null ? "" : `doubt ${doubt.toFixed(1)} %${mark.textContent ? ", " : ""}`, mark);
  const name = file_name.replace(/^.*\//, "") + (number > 1 ? `, face ${number}` : "");
  button.lastElementChild!.replaceChildren(name, facts);
}

function showProgress(): void {
  const decided = faces.filter(({ verdict }) => verdict).length, changed = faces.filter((face) => face.changed).length;
  element("progress").textContent = `${decided} of ${faces.length} decided, ${changed} corrected`;
}

/** Opens a face. */
async function show(index: number): Promise<void> {
  flushKeys();
  coming = index;
  try {
    const [details, picture] = await Promise.all([openFace(index), pictureOf(index)]);
    if (coming !== index) return; // another one was asked for meanwhile
    coming = undefined;
    const before = open?.index;
    const { state, revision, undo, redo, width, height, summary } = details;
    open = { index, details, state, revision, undo, redo, waiting: 0, picture };
    [selected, hovered, drag] = [null, null, undefined];
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(picture);
    stage.open(url, width, height);
    stage.frame(state.landmarks);
    history.replaceState(null, "", `#${index}`);
    for (const changed of [before, index]) if (changed !== undefined) paintItem(changed);
    items.get(index)?.scrollIntoView({ block: "nearest" });
    element("title").textContent = summary.file_name + (summary.face > 1 ? `, face ${summary.face}` : "");
    render();
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    if (coming === index) coming = undefined;
    say(error.message);
  }
}

/** Opens the face before or behind in the list. */
function go(by: number): void {
  if (!order.length) return;
  const at = order.indexOf(coming ?? open?.index ?? -1);
  const next = at < 0 ? 0 : at + by;
  if (next < 0 || next >= order.length) {
    return say(by > 0 ? "This is the last face of the list." : "This is the first one.");
  }
  show(order[next]!);
}

function judge(verdict: "accepted" | "rejected"): void {
  if (!open || coming !== undefined) return; // a key that is held does not judge what nobody has seen
  flushKeys();
  const again = open.state.verdict === verdict;
  commit({ verdict: again ? null : verdict });
  if (!again) go(1);
}

// Landmarks ---------------------------------------------------------------------------------------------------------

function featureOf(p: number): Feature {
  return features.find(({ points }) => points.includes(p))!;
}

/** The landmarks that a drag would move as one. */
function boxed(): readonly number[] | null {
  if (mode === "face") return [...pointsNow().keys()];
  return mode === "feature" && selected !== null ? featureOf(selected).points : null;
}

/** Landmarks after a drag to a place. */
function dragged({ grip, start, points, held }: Drag, at: Point): Point[] {
  const by: Point = [at[0] - start[0], at[1] - start[1]];
  if (grip.kind === "point" && held !== null) {
    const place: Point = [points[held]![0] + by[0], points[held]![1] + by[1]];
    return moved(points, held, place, by);
  }
  const some = boxed() ?? [], { x, y, w, h } = boxOf(points, some);
  const centre: Point = [x + w / 2, y + h / 2], still = { centre, angle: 0, scale: 1, by: [0, 0] as Point };
  const arm = (place: Point): Point => [place[0] - centre[0], place[1] - centre[1]];
  const [a, b] = [arm(start), arm(at)];
  if (grip.kind === "turn") {
    return movePoints(points, some, { ...still, angle: Math.atan2(b[1], b[0]) - Math.atan2(a[1], a[0]) });
  }
  if (grip.kind === "scale") {
    const scale = Math.max(0.05, Math.hypot(...b) / Math.max(1e-6, Math.hypot(...a)));
    return movePoints(points, some, { ...still, scale });
  }
  return movePoints(points, some, { ...still, by });
}

/** Landmarks after one of them was moved, by the mode. */
function moved(points: readonly Point[], held: number, place: Point, by: Point): Point[] {
  switch (mode) {
    case "refit": {
      const placed = new Map((open?.state.pinned ?? []).map((p) => [p, points[p]!]));
      return pairs(refit(points.flat(), placed.set(held, place), folder.schema));
    }
    case "contour": {
      const contour = folder.schema.contours.find((one) => one.points.includes(held));
      const reach = Number(element<HTMLInputElement>("reach").value) / 100;
      if (contour) return dragContour(points, contour.points, contour.closed, held, by, reach);
      return points.with(held, place);
    }
    case "point":
      return points.with(held, place);
    case "feature":
      return movePoints(points, featureOf(held).points, { centre: [0, 0], angle: 0, scale: 1, by });
    case "face":
      return movePoints(points, [...points.keys()], { centre: [0, 0], angle: 0, scale: 1, by });
  }
}

const pairs = (flat: ArrayLike<number>) =>
  Array.from({ length: flat.length / 2 }, (_, p): Point => [flat[2 * p]!, flat[2 * p + 1]!]);

/** Landmarks that are placed by hand after one of them was moved. */
function pinnedWith(p: number): readonly number[] {
  const pinned = open?.state.pinned ?? [];
  return mode === "feature" || mode === "face" || pinned.includes(p) ? pinned : [...pinned, p];
}

function grab(grip: Grip, at: Point): boolean {
  if (!open || !visible) return false;
  flushKeys();
  const held = grip.kind === "point" ? grip.point : null;
  if (held !== null) select(held);
  drag = { grip, start: at, points: open.state.landmarks, held, moved: false };
  stage.magnify(held);
  return true;
}

function dragTo(at: Point): void {
  if (!drag || !open) return;
  const far = Math.hypot(at[0] - drag.start[0], at[1] - drag.start[1]) * stage.scale;
  if (!drag.moved && far < STILL_PX) return;
  drag.moved = true;
  draw(dragged(drag, at));
  last = at;
  stage.magnify(drag.held);
}

let last: Point = [0, 0];

function drop(cancelled: boolean): void {
  const done = drag;
  drag = undefined;
  stage.magnify(checked("show-loupe") ? selected : null);
  if (!done || !open) return;
  if (!done.moved || cancelled) return render();
  commit({
    landmarks: dragged(done, last),
    ...(done.held !== null && { pinned: pinnedWith(done.held) }),
  });
}

/** Moves the selected landmark by keys; moves that follow each other are one change. */
function nudge(dx: number, dy: number): void {
  if (!open || selected === null) return;
  const { landmarks } = open.state, [x, y] = landmarks[selected]!;
  const state = {
    ...open.state,
    landmarks: moved(landmarks, selected, [x + dx, y + dy], [dx, dy]),
    pinned: pinnedWith(selected),
  };
  if (keyed) clearTimeout(keyed.timer);
  open.state = state;
  keyed = { state, timer: setTimeout(flushKeys, KEYS_MS) };
  status("Saving");
  render();
}

/** Has moves by keys written. */
function flushKeys(): void {
  if (!keyed) return;
  clearTimeout(keyed.timer);
  keyed = undefined;
  commit({});
}

function select(p: number | null, focus = false): void {
  selected = p;
  if (p !== null && focus) stage.focus(p);
  render();
}

/** Selects the next or previous landmark. */
function cycle(by: number): void {
  const count = folder.schema.count;
  select(selected === null ? (by > 0 ? 0 : count - 1) : (selected + by + count) % count, true);
}

function nextFeature(): void {
  const at = selected === null ? -1 : features.indexOf(featureOf(selected));
  select(features[(at + 1) % features.length]!.points[0]!, true);
}

/** The selected landmark; says what to do where there is none. */
function needed(): number | null {
  if (selected === null) say("Select a landmark first: press on it, or ] to go through them.");
  return selected;
}

async function guess(): Promise<void> {
  if (!open) return;
  flushKeys();
  if (!folder.guesses) return say(`There is no guess: ${folder.reason}`);
  const face = open, { landmarks, pinned } = face.state;
  status("The detector looks at the face");
  try {
    const found = await guessFace(face.index, landmarks);
    if (face !== open) return;
    const placed = new Map(pinned.map((p) => [p, face.state.landmarks[p]!]));
    commit({ landmarks: pairs(refit(found.landmarks.flat(), placed, folder.schema)) });
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    status("Saved");
    say(error.message);
  }
}

async function snap(): Promise<void> {
  const p = needed();
  if (!open || p === null) return;
  flushKeys();
  const contour = folder.schema.contours.find(({ points }) => points.includes(p));
  if (!contour) return say("The landmark is on no contour.");
  const face = open, { landmarks, pinned } = face.state, { w, h } = boxOf(landmarks, [...landmarks.keys()]);
  const reach = Math.max(1.5, SNAP_SHARE * Math.sqrt(w * h));
  try {
    const { grey, left, top } = await surroundings(face, contour.points, 2 * reach);
    if (face !== open || face.state.landmarks !== landmarks) return;
    const inside = landmarks.map(([x, y]): Point => [x - left, y - top]);
    const snapped = snapContour(grey, inside, contour.points, contour.closed, new Set(pinned), reach);
    commit({
      landmarks: landmarks.map((place, k) =>
        contour.points.includes(k) ? [snapped[k]![0] + left, snapped[k]![1] + top] : place
      ),
    });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    say("This browser cannot decode the picture.");
  }
}

/** Brightness of the picture around some landmarks, and where its left top pixel is. */
async function surroundings(
  { picture, state: { landmarks }, details: { width, height } }: Open,
  some: readonly number[],
  pad: number,
): Promise<{ grey: Grey; left: number; top: number }> {
  const { x, y, w, h } = boxOf(landmarks, some), inside = (px: number, side: number) => Math.min(side, Math.max(0, px));
  const left = Math.min(width - 1, inside(Math.floor(x - pad), width));
  const top = Math.min(height - 1, inside(Math.floor(y - pad), height));
  const wide = Math.max(1, inside(Math.ceil(x + w + pad), width) - left);
  const high = Math.max(1, inside(Math.ceil(y + h + pad), height) - top);
  const bitmap = await createImageBitmap(picture, left, top, wide, high);
  const context = new OffscreenCanvas(wide, high).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { grey: greyOf(context.getImageData(0, 0, wide, high).data, wide, high), left, top };
}

function mirror(): void {
  const p = needed();
  if (!open || p === null) return;
  flushKeys();
  const { points } = featureOf(p), { landmarks } = open.state, { mirror } = folder.schema;
  // Of a feature on the middle line the half with the selected landmark is placed.
  const own = new Set(points), side = Math.sign(p - mirror[p]!);
  const half = points.some((q) => q !== mirror[q] && own.has(mirror[q]!))
    ? points.filter((q) => Math.sign(q - mirror[q]!) === side)
    : points;
  commit({ landmarks: mirrorFrom(landmarks, mirror, half) });
}

function toggle(list: "occluded" | "pinned"): void {
  const p = needed();
  if (!open || p === null) return;
  flushKeys();
  const now = open.state[list];
  commit({ [list]: now.includes(p) ? now.filter((q) => q !== p) : [...now, p] });
}

function reset(): void {
  if (!open) return;
  flushKeys();
  commit({ ...open.details.original, verdict: open.state.verdict });
}

// Drawing -----------------------------------------------------------------------------------------------------------

function draw(points: readonly Point[]): void {
  if (!open) return;
  const { state: { occluded, pinned }, details: { original, uncertainty_px } } = open;
  stage.show({
    points,
    occluded,
    pinned,
    selected,
    visible,
    boxed: boxed(),
    before: checked("show-before") ? original.landmarks : null,
    uncertainty: checked("show-doubt") ? uncertainty_px : null,
  });
}

function render(): void {
  if (!open) return;
  draw(open.state.landmarks);
  const shown = hovered ?? selected, { state, undo, redo, details } = open;
  element("point-name").textContent = shown === null ? "No landmark" : nameOf(folder.schema, shown);
  element("point-place").textContent = shown === null
    ? "Point at a landmark, or press ] to go through them."
    : `x ${state.landmarks[shown]![0].toFixed(1)}, y ${state.landmarks[shown]![1].toFixed(1)}` +
      (state.pinned.includes(shown) ? ", placed by hand" : "") + (state.occluded.includes(shown) ? ", hidden" : "");
  paintMap(shown);
  const able = { undo: undo > 0 || keyed, redo: redo > 0, guess: folder.guesses };
  for (const [name, is] of Object.entries(able)) {
    element<HTMLButtonElement>(`do-${name}`).disabled = !is;
  }
  const pressed = {
    hide: !visible,
    occluded: selected !== null && state.occluded.includes(selected),
    pin: selected !== null && state.pinned.includes(selected),
    accept: state.verdict === "accepted",
    reject: state.verdict === "rejected",
  };
  for (const [name, is] of Object.entries(pressed)) element(`do-${name}`).setAttribute("aria-pressed", String(is));
  element("reach-label").toggleAttribute("hidden", mode !== "contour");
  const { summary: { style, group, score }, width, height } = details, { doubt } = faces[open.index]!;
  const facts = {
    picture: `${width} x ${height} pixels`,
    doubt: doubt === null ? "" : `${doubt.toFixed(2)} %`,
    score: score === null ? "" : score.toFixed(2),
    style,
    group,
    "by hand": `${state.pinned.length} landmarks`,
    hidden: state.occluded.length ? `${state.occluded.length} landmarks` : "",
    verdict: state.verdict ?? "",
  };
  element("facts").replaceChildren(
    ...Object.entries(facts).filter(([, text]) => text).flatMap(([name, text]) => {
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, value.textContent] = [name, text];
      return [term, value];
    }),
  );
  if (!drag) stage.magnify(checked("show-loupe") ? selected : null);
}

/** Draws the schema's picture once; its landmarks can be selected. */
function drawMap(): void {
  const map = element<SVGSVGElement>("map"), { shape, schema } = folder;
  const path = schema.contours.map(({ points, closed }) =>
    `M${points.map((p) => shape[p]!.join(" ")).join("L")}${closed ? "Z" : ""}`
  ).join("");
  map.append(svg("path", { d: path }));
  for (const [p, [cx, cy]] of shape.entries()) {
    const dot = svg("circle", { cx, cy, r: 0.011 }), title = svg("title");
    title.textContent = nameOf(schema, p);
    dot.append(title);
    dot.addEventListener("pointerenter", () => hover(p));
    dot.addEventListener("pointerleave", () => hover(null));
    dot.addEventListener("click", () => select(p, true));
    map.append(dot);
  }
  map.append(svg("text"));
}

function paintMap(p: number | null): void {
  const map = element<SVGSVGElement>("map");
  [...map.querySelectorAll("circle")].forEach((dot, k) => {
    dot.classList.toggle("selected", k === p);
    dot.setAttribute("r", String(k === p ? 0.022 : 0.011));
  });
  const text = map.querySelector("text")!, place = p === null ? undefined : folder.shape[p];
  text.textContent = p === null ? "" : String(p);
  if (place) {
    text.setAttribute("x", String(place[0] + (place[0] > 0.9 ? -0.09 : 0.03)));
    text.setAttribute("y", String(place[1] + (place[1] < 0.06 ? 0.06 : -0.02)));
  }
}

function hover(p: number | null): void {
  if (p === hovered || drag) return;
  hovered = p;
  element("stage").classList.toggle("over", p !== null);
  render();
}

// Tools and keys ----------------------------------------------------------------------------------------------------

/** An action: its name on the button, its keys, and what it does. */
interface Action {
  readonly id: string;
  readonly text: string;
  readonly keys: readonly string[];
  readonly doc: string;
  readonly group: "actions" | "verdicts" | "keys";
  act(): void;
}

const ACTIONS: readonly Action[] = [
  {
    id: "undo",
    text: "Undo",
    keys: ["z", "Ctrl+z"],
    doc: "take the last change back",
    group: "actions",
    act: () => step("undo"),
  },
  {
    id: "redo",
    text: "Redo",
    keys: ["y", "Ctrl+y", "Ctrl+Z"],
    doc: "do it again",
    group: "actions",
    act: () => step("redo"),
  },
  {
    id: "guess",
    text: "Guess",
    keys: ["g"],
    doc: "the detector's landmarks; those placed by hand stay",
    group: "actions",
    act: () => void guess(),
  },
  {
    id: "snap",
    text: "Snap",
    keys: ["s"],
    doc: "the contour onto the nearest edge",
    group: "actions",
    act: () => void snap(),
  },
  { id: "mirror", text: "Mirror", keys: ["m"], doc: "the feature from the other side", group: "actions", act: mirror },
  {
    id: "occluded",
    text: "Occluded",
    keys: ["o"],
    doc: "the landmark is hidden in the picture",
    group: "actions",
    act: () => toggle("occluded"),
  },
  {
    id: "pin",
    text: "By hand",
    keys: ["k"],
    doc: "the landmark stays when others move, or not",
    group: "actions",
    act: () => toggle("pinned"),
  },
  {
    id: "reset",
    text: "Original",
    keys: ["b"],
    doc: "the landmarks before any correction",
    group: "actions",
    act: reset,
  },
  {
    id: "hide",
    text: "Hide",
    keys: ["h"],
    doc: "hide or show the landmarks",
    group: "actions",
    act: () => {
      visible = !visible;
      render();
    },
  },
  {
    id: "fit",
    text: "Fit",
    keys: ["0"],
    doc: "the face fills the stage",
    group: "actions",
    act: () => stage.frame(pointsNow()),
  },
  { id: "whole", text: "Whole", keys: ["9"], doc: "the whole picture", group: "keys", act: () => stage.frameAll() },
  { id: "in", text: "+", keys: ["+", "="], doc: "zoom in", group: "keys", act: () => stage.zoom(1.25) },
  { id: "out", text: "-", keys: ["-"], doc: "zoom out", group: "keys", act: () => stage.zoom(0.8) },
  { id: "point", text: "", keys: ["]"], doc: "next landmark", group: "keys", act: () => cycle(1) },
  { id: "point-before", text: "", keys: ["["], doc: "previous landmark", group: "keys", act: () => cycle(-1) },
  { id: "feature", text: "", keys: ["f"], doc: "next feature", group: "keys", act: nextFeature },
  { id: "nothing", text: "", keys: ["Escape"], doc: "no landmark is selected", group: "keys", act: () => select(null) },
  {
    id: "previous",
    text: "Previous",
    keys: ["p", "PageUp"],
    doc: "previous face",
    group: "verdicts",
    act: () => go(-1),
  },
  { id: "next", text: "Next", keys: ["n", "PageDown"], doc: "next face", group: "verdicts", act: () => go(1) },
  {
    id: "reject",
    text: "Reject",
    keys: ["x", "Delete"],
    doc: "leave the face out, go on",
    group: "verdicts",
    act: () => judge("rejected"),
  },
  {
    id: "accept",
    text: "Accept",
    keys: ["a", "Enter"],
    doc: "the face is right, go on",
    group: "verdicts",
    act: () => judge("accepted"),
  },
  {
    id: "help",
    text: "",
    keys: ["?"],
    doc: "these keys",
    group: "keys",
    act: () => element<HTMLDialogElement>("help").showModal(),
  },
];

/** Moves of the arrow keys. */
const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function buildTools(): void {
  const modes = element<HTMLElement>("modes");
  for (const [name, [text, key, doc]] of Object.entries(MODES)) {
    const button = buttonOf(`mode-${name}`, text, key, doc, () => setMode(name as Mode));
    button.setAttribute("role", "radio");
    modes.append(button);
  }
  modes.addEventListener("keydown", (event) => {
    const names = Object.keys(MODES) as Mode[], by = ARROWS[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const next = names[(names.indexOf(mode) + by[0] + by[1] + names.length) % names.length]!;
    setMode(next);
    element<HTMLButtonElement>(`mode-${next}`).focus();
  });
  for (const { id, text, keys, doc, group, act } of ACTIONS) {
    if (group === "keys") continue;
    const button = buttonOf(`do-${id}`, text, keys[0]!, doc, act);
    if (id === "accept" || id === "reject") button.classList.add(id);
    element(group).append(button);
  }
  const rows = [
    ...Object.values(MODES).map(([text, key, doc]) => [key, `${text}: ${doc}`]),
    ...ACTIONS.map(({ keys, text, doc }) => [keys.join("  "), text.length > 1 ? `${text}: ${doc}` : doc]),
    ["Arrows", "move the selected landmark by a pixel; with Alt 0.1, with Shift 10; without one the picture"],
  ];
  element("keys").replaceChildren(...rows.flatMap(([key, doc]) => {
    const [term, value] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, value.textContent] = [key!, doc!];
    return [term, value];
  }));
  setMode(mode);
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

function setMode(next: Mode): void {
  flushKeys();
  mode = next;
  for (const name of Object.keys(MODES)) {
    const button = element<HTMLButtonElement>(`mode-${name}`);
    button.setAttribute("aria-checked", String(name === mode));
    button.tabIndex = name === mode ? 0 : -1;
  }
  if (open) render();
}

function onKey(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (element<HTMLDialogElement>("help").open || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
  const isButton = target.tagName === "BUTTON";
  // A button has its own Enter and space bar.
  if (isButton && (event.key === "Enter" || event.key === " ")) return;
  if (event.key === " ") {
    stage.panning = true;
    return event.preventDefault();
  }
  const arrow = ARROWS[event.key];
  if (arrow && !event.ctrlKey && !event.metaKey) {
    if (isButton && target.closest("#list")) return moveInList(event, arrow);
    event.preventDefault();
    const size = event.altKey ? FINE_PX : event.shiftKey ? COARSE_PX : STEP_PX;
    if (selected !== null) return nudge(size * arrow[0], size * arrow[1]);
    return stage.pan(-40 * arrow[0], -40 * arrow[1]);
  }
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey) return;
  const key = control ? `Ctrl+${event.key}` : event.key;
  const chosen = Object.entries(MODES).find(([, [, digit]]) => digit === key)?.[0];
  if (chosen) return setMode(chosen as Mode);
  const action = ACTIONS.find(({ keys }) => keys.includes(key));
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

/** Drawers of narrow screens. */
const DRAWERS = { "toggle-list": "list", "toggle-side": "side" } as const;

function closeDrawers(except?: string): void {
  for (const [button, drawer] of Object.entries(DRAWERS)) {
    const stays = drawer === except && !element(drawer).classList.contains("open");
    element(drawer).classList.toggle("open", stays);
    element(button).setAttribute("aria-expanded", String(stays));
  }
}

function listenToPage(): void {
  addEventListener("keydown", onKey);
  addEventListener("keyup", ({ key }) => {
    if (key === " ") stage.panning = false;
  });
  element("stage").addEventListener("focusin", (event) => {
    const p = (event.target as Element).getAttribute("data-point");
    if (p !== null && selected !== Number(p)) select(Number(p));
  });
  element("stage").addEventListener("pointerdown", () => closeDrawers());
  for (const id of ["order", "filter"]) element(id).addEventListener("change", () => void arrange());
  for (const id of ["show-before", "show-doubt", "show-loupe"]) element(id).addEventListener("change", render);
  const reach = element<HTMLInputElement>("reach");
  reach.addEventListener("input", () => element("reach-value").textContent = `${reach.value} %`);
  element("help-open").addEventListener("click", () => element<HTMLDialogElement>("help").showModal());
  for (const [button, drawer] of Object.entries(DRAWERS)) {
    element(button).addEventListener("click", () => closeDrawers(drawer));
  }
  addEventListener("beforeunload", (event) => {
    flushKeys();
    if (unsaved) event.preventDefault();
  });
}

/** Starts the page. */
async function start(): Promise<void> {
  folder = await listFaces();
  faces = [...folder.faces];
  features = featuresOf(folder.schema);
  stage = new Stage(element("stage"), element("loupe"), folder.schema, { grab, drag: dragTo, drop, hover });
  drawMap();
  buildTools();
  listenToPage();
  listen(receive, (connected) => {
    if (!connected) return status("The server has stopped", true);
    if (!unsaved) status("Saved");
  });
  await arrange();
  showProgress();
  document.title = `${folder.dir.replace(/^.*[\\/](?=.)/, "")} - Correct landmarks`;
  const asked = /^#(\d+)$/.exec(location.hash)?.[1];
  const first = asked !== undefined && faces[Number(asked)] ? Number(asked) : order[0];
  if (first !== undefined) await show(first);
}

start().catch((error) => {
  element("title").textContent = "The page could not be opened";
  status(error instanceof Error ? error.message : String(error), true);
});
