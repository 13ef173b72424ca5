/// <reference lib="dom" />
/**
 * Two detectors beside the landmarks: their lines, their errors, and their landmarks as a correction.
 *
 * @module
 */
import { comparedFace, type FaceSummary, type Found, type Point, ServerError } from "./api.ts";
import { editor, featureOf } from "./editor.ts";
import { element, say } from "./elements.ts";
import { commit, flushKeys } from "./history.ts";
import { placeRest } from "./tools.ts";
import { render } from "./view.ts";

/** The sides by their letters. */
export const SIDES = ["a", "b"] as const;
/** One of them. */
export type SideName = (typeof SIDES)[number];

type Value = (compare: NonNullable<FaceSummary["compare"]>) => number | null;

/** Orders of the list by what the comparison found: their names, and the value whose highest comes first. */
const ORDERS: Readonly<Record<string, readonly [text: string, value: Value]>> = {
  difference: ["most different first", ({ difference }) => difference],
  "error-a": ["largest error of A first", ({ errors: [a] }) => a],
  "error-b": ["largest error of B first", ({ errors: [, b] }) => b],
  "better-a": ["where A is better first", ({ errors: [a, b] }) => a === null || b === null ? null : b - a],
  "better-b": ["where B is better first", ({ errors: [a, b] }) => a === null || b === null ? null : a - b],
};

let found: { readonly index: number; readonly both: Found } | undefined;

/** Adds what the comparison brings to the page. */
export function buildComparison(): void {
  const names = editor.folder.compare;
  if (!names) return;
  element("compared").removeAttribute("hidden");
  element("stage").classList.add("compared");
  const order = element<HTMLSelectElement>("order");
  for (const [value, [text]] of Object.entries(ORDERS)) order.append(new Option(text, value));
  order.value = "difference";
  SIDES.forEach((side, k) => {
    const button = element<HTMLButtonElement>(`show-${side}`);
    button.title = `Show or hide ${side.toUpperCase()}: ${names[k]}`;
    button.querySelector("b")!.textContent = names[k]!.replace(/^.*\/(?=[^/]+\/[^/]+$)/, "");
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(!isShown(side)));
      render();
    });
  });
}

/** The value of a face in an order of the comparison; undefined for other orders. */
export function comparedValue(order: string, { compare }: FaceSummary): number | undefined {
  const value = ORDERS[order]?.[1];
  return value && ((compare && value(compare)) ?? -Infinity);
}

/** The line of a face in the list; empty where nothing is known. */
export function comparedText({ compare }: FaceSummary): string {
  if (!compare) return "";
  return SIDES.map((side, k) => `${side.toUpperCase()} ${percent(compare.errors[k]!)}`).join(", ");
}

const percent = (error: number | null) => error === null ? "none" : `${error.toFixed(1)} %`;
const isShown = (side: SideName) => element(`show-${side}`).getAttribute("aria-pressed") === "true";

/** Landmarks of a side of the open face, if they are known and shown. */
export function besideOf(side: SideName): readonly Point[] | null {
  if (found?.index !== editor.open?.index || !isShown(side)) return null;
  return found?.both[SIDES.indexOf(side)] ?? null;
}

/** Writes the errors of the open face. */
export function paintErrors(): void {
  if (!editor.folder.compare || !editor.open) return;
  const { compare } = editor.faces[editor.open.index]!;
  SIDES.forEach((side, k) => {
    const output = element(`show-${side}`).querySelector("output")!;
    output.textContent = compare ? percent(compare.errors[k]!) : "...";
  });
  element("difference").textContent = typeof compare?.difference === "number"
    ? `apart ${percent(compare.difference)}`
    : "";
}

/** Asks for the landmarks of both for the face that is open; returns its new line. */
export async function compareOpen(): Promise<FaceSummary | undefined> {
  if (!editor.folder.compare || !editor.open) return undefined;
  const { index } = editor.open;
  try {
    const { found: both, summary } = await comparedFace(index);
    if (editor.open.index !== index) return undefined;
    found = { index, both };
    return summary;
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    say(error.message);
    return undefined;
  }
}

/** Takes the landmarks of a side as a correction: in the mode of features those of one, or else all. */
export function takeSide(side: SideName): void {
  const points = found?.index === editor.open?.index ? found?.both[SIDES.indexOf(side)] : undefined;
  if (!editor.open || !points) return say(`${side.toUpperCase()} has no landmarks for this face.`);
  flushKeys();
  const { mode, selected, open: { state: { landmarks } } } = editor;
  const some = mode === "feature" && selected !== null ? new Set(featureOf(selected).points) : undefined;
  commit({ landmarks: some ? landmarks.map((place, p) => some.has(p) ? points[p]! : place) : placeRest(points) });
}
