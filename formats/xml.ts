/**
 * XML as annotation tools write it: elements with attributes. Entities of a DTD are not expanded.
 *
 * @module
 */
import { SaxesParser } from "saxes";
import { InputError } from "./input_error.ts";

/** An element. */
export interface XmlElement {
  /** Name. */
  readonly name: string;
  /** Attributes by name. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Elements in it, in order. */
  readonly children: readonly XmlElement[];
  /** Text directly in it, without the spaces around it. */
  readonly text: string;
  /** Line of the end of its opening tag, from 1. */
  readonly line: number;
}

interface OpenElement extends XmlElement {
  readonly children: XmlElement[];
  text: string;
}

/**
 * Reads a document.
 *
 * @param text The file; a byte order mark is accepted.
 * @returns Its root element.
 * @throws {InputError} Naming the line, if the document is not well-formed.
 */
export function parseXml(text: string): XmlElement {
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  const parser = new SaxesParser({ position: true });
  parser.on("error", (error) => {
    throw new InputError(`line ${parser.line}: ${error.message.replace(/^\d+:\d+: /, "").replace(/\.$/, "")}`);
  });
  parser.on("opentag", ({ name, attributes }) => {
    const element: OpenElement = {
      name,
      attributes: new Map(Object.entries(attributes)),
      children: [],
      text: "",
      line: parser.line,
    };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  const addText = (more: string) => {
    const element = open.at(-1);
    if (element) element.text += more;
  };
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    const element = open.pop();
    if (!element) return;
    element.text = element.text.trim();
    root ??= open.length ? undefined : element;
  });
  parser.write(text.replace(/^\uFEFF/, "")).close();
  if (!root) throw new InputError("line 1: there is no element");
  return root;
}

/** Text in which the characters that XML reserves are written as entities. */
export function escapeXml(text: string): string {
  const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  // XML has no way to write other control characters.
  // deno-lint-ignore no-control-regex
  const clean = text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd");
  return clean.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character)
    .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}
