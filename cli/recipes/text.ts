/// <reference lib="dom" />
/**
 * The text of the file, with the numbers of its lines and its mistakes.
 *
 * @module
 */
import { element } from "../correct/elements.ts";
import type { RecipeProblem } from "./api.ts";
import { make } from "./controls.ts";

const area = () => element<HTMLTextAreaElement>("text");

/** Follows the text as it is typed. */
export function listenToText(typed: (text: string) => void): void {
  area().addEventListener("input", () => {
    showLines();
    typed(area().value);
  });
  area().addEventListener("scroll", () => element<HTMLElement>("gutter").scrollTop = area().scrollTop);
}

/**
 * Shows a text; the cursor stays where it was.
 *
 * @param follow True to scroll to the first line that differs.
 */
export function showText(text: string, follow = false): void {
  const field = area(), old = field.value;
  if (old === text) return;
  const { selectionStart, selectionEnd, scrollTop, scrollLeft } = field;
  field.value = text;
  field.setSelectionRange(selectionStart, selectionEnd);
  field.scrollTo(scrollLeft, scrollTop);
  showLines();
  const before = old.split("\n"), changed = text.split("\n").findIndex((line, k) => line !== before[k]);
  if (follow && changed !== -1) {
    scrollTo(changed + 1);
    mark(changed + 1);
  }
}

/** Shows the numbers of the lines. */
function showLines(): void {
  const gutter = element("gutter"), count = area().value.split("\n").length;
  while (gutter.childElementCount < count) gutter.append(make("div", {}, String(gutter.childElementCount + 1)));
  while (gutter.childElementCount > count) gutter.lastElementChild!.remove();
}

function lineHeight(): number {
  return element("gutter").firstElementChild!.getBoundingClientRect().height;
}

/** Brings a line into view. */
function scrollTo(line: number): void {
  const field = area(), height = lineHeight(), top = (line - 1) * height;
  if (top < field.scrollTop || top + 2 * height > field.scrollTop + field.clientHeight) {
    field.scrollTop = Math.max(0, top - field.clientHeight / 2);
  }
}

/** Marks the line of a value that a control has changed. */
function mark(line: number): void {
  for (const [k, number] of [...element("gutter").children].entries()) {
    number.classList.toggle("changed", k + 1 === line);
  }
}

/** Lists mistakes, and marks their lines. */
export function showProblems(problems: readonly RecipeProblem[]): void {
  const lines = new Set(problems.map(({ line }) => line));
  for (const [k, number] of [...element("gutter").children].entries()) {
    number.classList.toggle("wrong", lines.has(k + 1));
  }
  area().setAttribute("aria-invalid", String(problems.length > 0));
  element("problems").replaceChildren(...problems.map(({ line, column, message, hint }) => {
    const go = make("button", { type: "button" }, make("b", {}, `Line ${line}`), ` ${message}`);
    if (hint) go.append(make("small", {}, hint));
    go.addEventListener("click", () => select(line, column));
    return make("li", {}, go);
  }));
}

function select(line: number, column: number): void {
  const field = area(), lines = field.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  field.focus();
  field.setSelectionRange(start + column - 1, start + (lines[line - 1]?.length ?? 0));
  scrollTo(line);
}
