/**
 * HTML by template literals that escape everything put into them.
 *
 * @module
 */

/** Markup, as opposed to text. */
export class Html {
  /** @param text Markup that is safe to insert. */
  constructor(readonly text: string) {}
}

/** Values in a template: text and numbers are escaped, markup is not. */
export type Part = string | number | Html | undefined | readonly Part[];

const entities = new Map([["&", "&amp;"], ["<", "&lt;"], [">", "&gt;"], ['"', "&quot;"], ["'", "&#39;"]]);

function render(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(render).join("");
  return String(part).replace(/[&<>"']/g, (char) => entities.get(char) ?? char);
}

/** Builds markup; use double quotes around attributes. */
export function markup(strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(strings.map((text, i) => text + render(parts[i])).join(""));
}
