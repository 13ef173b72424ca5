/**
 * The part of csv-parse that csv.ts uses. Its own types bring those of Node, which replace Deno's.
 *
 * @module
 */

/** Options of csv-parse; `info: true` gives each record with its place. */
export interface Options {
  readonly bom: boolean;
  readonly info: true;
  readonly record_delimiter: string;
  readonly relax_column_count: boolean;
  readonly relax_quotes: boolean;
  readonly skip_empty_lines: boolean;
  readonly trim: boolean;
}

/** Reads a table. */
export declare function parse(
  text: string,
  options: Options,
): { readonly info: { readonly lines: number }; readonly record: string[] }[];

/** A wrong table. */
export declare class CsvError extends Error {
  /** Kind of the mistake. */
  readonly code: string;
  /** Line of the mistake. */
  readonly lines: number;
}
