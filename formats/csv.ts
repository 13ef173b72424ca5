/**
 * CSV as RFC 4180 has it: fields in quotes may hold commas, line breaks and doubled quotes.
 *
 * @module
 */
// @ts-types="./_csv_parse.d.ts"
import { CsvError, parse } from "csv-parse/sync";
import { InputError } from "./input_error.ts";

/** A line of a table; more than one if a field holds line breaks. */
export interface CsvRow {
  /** Last line of the row, counted from 1. */
  readonly line: number;
  /** Fields without their quotes and the spaces around them. */
  readonly fields: readonly string[];
}

/** Mistakes by their code in csv-parse. */
const PROBLEMS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "a quote is not closed",
  CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE: "something other than a comma follows a closing quote",
};

/**
 * Reads a table. Rows may have any number of fields; empty lines are left out.
 *
 * @param text The file. A byte order mark and any line ends are accepted.
 * @param name File, for errors; without it they have the line only.
 * @returns Rows in their order, the header among them.
 * @throws {InputError} If a quote is not closed, or something other than a comma follows a closing one.
 */
export function parseCsv(text: string, name?: string): CsvRow[] {
  try {
    const rows = parse(text.replace(/\r\n?/g, "\n"), {
      bom: true,
      info: true,
      record_delimiter: "\n",
      relax_column_count: true,
      relax_quotes: true, // within a field that does not start with one
      skip_empty_lines: true,
      trim: true,
    });
    return rows.map(({ info, record }) => ({ line: info.lines, fields: record }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const problem = PROBLEMS[error.code] ?? error.message;
    throw new InputError(
      name === undefined ? `line ${error.lines}: ${problem}` : `Cannot read ${name}:${error.lines}: ${problem}`,
      { code: "format" },
    );
  }
}
