/// <reference lib="dom" />
/**
 * Drawing of the open face: the landmarks on the picture, the schema beside, and what is known.
 *
 * @module
 */
import { counted } from "../../formats/numbers.ts";
import { nameOf, svg } from "./stage.ts";
import type { Point } from "./api.ts";
import { boxesNow, isAbsent } from "./boxes.ts";
import { besideOf, paintErrors } from "./compare.ts";
import { boxed, editor } from "./editor.ts";
import { checked, element, termsOf } from "./elements.ts";

/** Receives what the pointer does on the schema's picture. */
export interface MapEvents {
  /** It is over a landmark, or over none. */
  hover(point: number | null): void;
  /** It pressed a landmark. */
  select(point: number): void;
}

/** Draws landmarks on the picture. */
export function draw(points: readonly Point[]): void {
  if (!editor.open) return;
  const { state: { occluded, pinned }, details: { original, uncertainty_px, review } } = editor.open;
  editor.stage.show({
    points,
    occluded,
    pinned,
    selected: editor.selected,
    visible: editor.visible && !isAbsent(),
    boxes: boxesNow(points),
    boxing: editor.mode === "boxes",
    boxed: boxed(),
    beside: {
      before: checked("show-before") ? original.landmarks : null,
      found: review && checked("show-found") ? review.found : null,
      a: besideOf("a"),
      b: besideOf("b"),
    },
    uncertainty: checked("show-doubt") ? uncertainty_px : null,
  });
}

/** Draws all that depends on the state. */
export function render(): void {
  if (!editor.open) return;
  draw(editor.open.state.landmarks);
  const shown = editor.hovered ?? editor.selected, { state, undo, redo, details } = editor.open;
  element("point-name").textContent = shown === null ? "No landmark" : nameOf(editor.folder.schema, shown);
  element("point-place").textContent = shown === null
    ? "Point at a landmark, or press ] to go through them."
    : `x ${state.landmarks[shown]![0].toFixed(1)}, y ${state.landmarks[shown]![1].toFixed(1)}` +
      (state.pinned.includes(shown) ? ", placed by hand" : "") + (state.occluded.includes(shown) ? ", hidden" : "");
  paintMap(shown);
  const able = { undo: undo > 0 || editor.keyed, redo: redo > 0, guess: editor.folder.guesses };
  for (const [name, is] of Object.entries(able)) {
    element<HTMLButtonElement>(`do-${name}`).disabled = !is;
  }
  const verdict = isAbsent() ? null : state.verdict;
  const pressed = {
    hide: !editor.visible,
    occluded: editor.selected !== null && state.occluded.includes(editor.selected),
    pin: editor.selected !== null && state.pinned.includes(editor.selected),
    accept: verdict === "accepted",
    reject: verdict === "rejected",
  };
  for (const [name, is] of Object.entries(pressed)) element(`do-${name}`).setAttribute("aria-pressed", String(is));
  element("reach-label").toggleAttribute("hidden", editor.mode !== "contour");
  const { summary: { style, group, score }, width, height, review } = details;
  element("found-label").toggleAttribute("hidden", !review);
  const { doubt } = editor.faces[editor.open.index]!;
  const facts = {
    picture: `${width} x ${height} pixels`,
    doubt: doubt === null ? "" : `${doubt.toFixed(2)} %`,
    review: review ? `${review.verdict}, z-score ${review.doubt.toFixed(1)}` : "",
    alignment: review ? `${review.alignment_nme.toFixed(1)} %` : "",
    score: score === null ? "" : score.toFixed(2),
    style,
    group,
    "by hand": isAbsent() ? "" : counted(state.pinned.length, "landmark"),
    hidden: state.occluded.length ? counted(state.occluded.length, "landmark") : "",
    verdict: verdict ?? "",
  };
  element("facts").replaceChildren(
    ...termsOf(Object.entries(facts).filter(([, text]) => text)),
  );
  paintErrors();
  if (!editor.drag) editor.stage.magnify(checked("show-loupe") ? editor.selected : null);
}

/** Draws the schema's picture once; its landmarks can be selected. */
export function drawMap({ hover, select }: MapEvents): void {
  const map = element<SVGSVGElement>("map"), { shape, schema } = editor.folder;
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
    dot.addEventListener("click", () => select(p));
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
  const text = map.querySelector("text")!, place = p === null ? undefined : editor.folder.shape[p];
  text.textContent = p === null ? "" : String(p);
  if (place) {
    text.setAttribute("x", String(place[0] + (place[0] > 0.9 ? -0.09 : 0.03)));
    text.setAttribute("y", String(place[1] + (place[1] < 0.06 ? 0.06 : -0.02)));
  }
}
