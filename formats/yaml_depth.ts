/**
 * A limit to how deep values of a YAML text are nested: what reads them calls itself for each level.
 *
 * @module
 */
import { Lexer, Parser } from "yaml";

/** Most lists and maps inside each other. */
export const MOST_LEVELS = 64;

/**
 * Finds the first list or map of a YAML text that is nested too deeply, see {@linkcode MOST_LEVELS}.
 *
 * @returns Its index in the text; undefined if there is none. No more of the text is read than up to there.
 */
export function tooDeepAt(text: string): number | undefined {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    const { offset } = parser;
    parser.next(lexeme).forEach(() => {});
    // The document is the first of the stack, a scalar may be the last.
    const levels = parser.stack.filter(({ type }) => COLLECTIONS.has(type)).length;
    if (levels > MOST_LEVELS) return offset;
  }
  return undefined;
}

const COLLECTIONS: ReadonlySet<string> = new Set(["block-map", "block-seq", "flow-collection"]);
