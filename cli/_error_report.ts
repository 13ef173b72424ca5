/**
 * Errors for people and for programs: their text, their exit code and their JSON form.
 *
 * @module
 */
import { DeviceLostError, NoAdapterError } from "../engine/device.ts";
import { diskHint, isSystemError } from "../formats/disk_error.ts";
import { type ErrorCode, InputError } from "../formats/input_error.ts";
import { lineOf, PipelineError } from "../formats/yaml_tree.ts";
import { StageError } from "../runtime/run/run.ts";

/** The text that is printed for an error, and the exit code. */
export function explain(error: unknown): { text: string; exit: number } {
  if (error instanceof StageError) {
    if (error.status === "interrupted") return { text: error.message, exit: 130 };
    const bug = codeOf(error.cause) === "bug";
    return { text: bug ? `${error.message}\n\n${bugReport(error.cause)}` : error.message, exit: 1 };
  }
  if (codeOf(error) === "bug") return { text: bugReport(error), exit: 1 };
  const hint = diskHint(error);
  const { message } = error as Error;
  return { text: message + (hint ? `, hint: ${hint}` : ""), exit: error instanceof InputError ? 2 : 1 };
}

/** An error in the JSON forms of commands. */
export interface ErrorReport {
  /** Kind of the error: a key of {@linkcode ERROR_CODES}. */
  readonly code: ErrorCode;
  /** Sentence for people, without what follows. */
  readonly message: string;
  /** Next step. */
  readonly hint?: string | undefined;
  /** File, line and column, or path, where that is known. */
  readonly where?: string | undefined;
  /** Stage of the pipeline, for an error of one. */
  readonly stage?: string | undefined;
  /** Each mistake of a pipeline, a style or an edit. */
  readonly problems?: readonly Pick<ErrorReport, "message" | "hint" | "where">[];
}

/** An error for programs. */
export function reportOf(error: unknown): ErrorReport {
  if (error instanceof StageError) {
    const code = error.status === "interrupted" ? "interrupted" : codeOf(error.cause);
    return { ...parted(error.message), code, stage: error.stage };
  }
  const code = codeOf(error);
  if (error instanceof PipelineError) {
    const problems = error.problems.map(({ at, message, hint }) => {
      const { line, column } = lineOf(at);
      return { message, hint, where: `${at.source.name}:${line}:${column}` };
    });
    return { code, message: error.message.slice(error.message.lastIndexOf("\n") + 1), problems };
  }
  if (!(error instanceof InputError)) {
    const hint = diskHint(error);
    return { ...parted(error instanceof Error ? error.message : String(error)), ...(hint && { hint }), code };
  }
  const { hint = parted(error.sentence).hint, place: where } = error;
  return { code, message: parted(error.sentence).message, hint, where };
}

/** A message and the hint at its end. */
function parted(text: string): { message: string; hint?: string } {
  const [message = text, hint] = text.replace(/\nusage: .*$/s, "").split(/(?:, |\n\s*)hint: (?!.*hint: )/s);
  return { message, ...(hint !== undefined && { hint }) };
}

/** Kind of an error: mistakes of users and faults of the machine are distinguished from bugs here only. */
function codeOf(error: unknown): ErrorCode {
  if (error instanceof InputError) return error.code;
  if (error instanceof NoAdapterError) return "no_adapter";
  if (error instanceof DeviceLostError) return "device_lost";
  if (error instanceof Deno.errors.NotCapable) return "permission";
  if (error instanceof Deno.errors.NotFound) return "missing";
  return isSystemError(error) ? "disk" : "bug";
}

function bugReport(error: unknown): string {
  return `${error instanceof Error ? error.stack ?? error.message : String(error)}\nthis is a bug in Facewright`;
}
