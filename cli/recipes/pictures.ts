/// <reference lib="dom" />
/**
 * Pictures of the page: the face, landmarks over it, other people.
 *
 * @module
 */
import { checked, element } from "../correct/elements.ts";
import type { DrawnEdit, Point } from "./api.ts";
import { make } from "./controls.ts";
import { OTHERS } from "./redraw.ts";
import { state } from "./state.ts";

const SVG = "http://www.w3.org/2000/svg";

/** Shows the picture of the person. */
export function showPicture(picture: string): void {
  const image = element<HTMLImageElement>("picture");
  image.src = picture;
  image.alt = `Person ${state.person}`;
}

/** Dims the pictures while the text has mistakes. */
export function dimPictures(isDim: boolean): void {
  element("pictures").classList.toggle("dim", isDim);
  element("others").classList.toggle("dim", isDim);
}

/** Shows or hides what only edits have. */
export function showParts(isStyle: boolean, isSeen: boolean): void {
  element<HTMLElement>("condition-place").hidden = isStyle || !isSeen;
  element("overlay").toggleAttribute("hidden", isStyle || !isSeen);
  element<HTMLElement>("others").hidden = !isStyle || state.list.reason !== "";
  element("was-text").textContent = isStyle ? "As saved" : "Before the edit";
  for (const id of ["pictures", "people"]) element<HTMLElement>(id).hidden = !isSeen;
}

/** Shows landmarks over the picture, and the condition image. */
export function showEdit(edit: DrawnEdit): void {
  const overlay = element<SVGSVGElement>("overlay"), { size_px, schema } = edit;
  overlay.setAttribute("viewBox", `-0.5 -0.5 ${size_px} ${size_px}`);
  const { contours, dots } = state.list.landmarks[schema]!;
  const lines = (points: readonly Point[]) =>
    contours.map(({ points: list, closed }) =>
      `M${list.map((p) => points[p]!.join(" ")).join("L")}${closed ? "Z" : ""}`
    )
      .join("");
  const path = (name: string, points: readonly Point[]) => {
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("class", name);
    line.setAttribute("d", lines(points));
    return line;
  };
  const shown = [...new Set([...contours, ...dots].flatMap(({ points }) => points))];
  const circles = shown.map((p) => {
    const circle = document.createElementNS(SVG, "circle"), [x, y] = edit.after[p]!;
    for (const [name, value] of Object.entries({ cx: x, cy: y, r: size_px / 128, "data-point": p })) {
      circle.setAttribute(name, String(value));
    }
    const title = document.createElementNS(SVG, "title");
    title.textContent = String(p);
    circle.append(title);
    const reach = circle.cloneNode(true) as Element;
    reach.setAttribute("r", String(size_px / 40));
    reach.setAttribute("class", "reach");
    return [reach, circle];
  });
  const before = checked("show-was") ? [path("before", edit.before)] : [];
  overlay.replaceChildren(path("dark", edit.after), path("after", edit.after), ...before, ...circles.flat());
  element<HTMLImageElement>("condition").src = edit.condition;
}

/** Makes the places of the other people; a click makes one the person of the large picture. */
export function showOthers(choose: (person: number) => void): void {
  const place = element("others");
  if (!place.childElementCount) {
    place.append(...Array.from({ length: OTHERS }, (_, k) => {
      const button = make("button", { type: "button" }, make("img", { alt: "", width: "128", height: "128" }));
      button.addEventListener("click", () => choose(state.person + 1 + k));
      return button;
    }));
  }
  [...place.children].forEach((button, k) => button.setAttribute("aria-label", `Person ${state.person + 1 + k}`));
}

/** Shows the picture of another person. */
export function showOther(picture: string, person: number): void {
  const image = element("others").children[person - state.person - 1]?.querySelector("img");
  if (image) image.src = picture;
}

/** Lets landmarks be dragged. */
export function listenToLandmarks(pull: (point: number, to: Point) => void): void {
  const overlay = element<SVGSVGElement>("overlay");
  let held: { readonly point: number; readonly dx: number; readonly dy: number } | undefined;
  const placeOf = ({ clientX, clientY }: PointerEvent): Point => {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(overlay.getScreenCTM()!.inverse());
    return [x, y];
  };
  overlay.addEventListener("pointerdown", (event) => {
    if (!(event.target as Element).matches("circle") || !state.edit || event.button !== 0) return;
    const [x, y] = placeOf(event);
    // Circles lie over each other: the nearest landmark counts.
    const distances = state.edit.after.map(([px, py]) => Math.hypot(px - x, py - y));
    const point = distances.indexOf(Math.min(...distances)), [px, py] = state.edit.after[point]!;
    held = { point, dx: px - x, dy: py - y };
    overlay.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, y] = placeOf(event);
    pull(held.point, [x + held.dx, y + held.dy]);
  });
  for (const type of ["pointerup", "pointercancel"]) overlay.addEventListener(type, () => held = undefined);
}
