/**
 * Parts that all commands share: their context, how their arguments are read, and how they end.
 *
 * A command is a `commander` command: its arguments and options are declared once, and give the types, the checks, the
 * errors and `--help`.
 *
 * @module
 */
import {
  CommanderError,
  type CommandUnknownOpts,
  Help,
  InvalidArgumentError,
  type Option,
} from "@commander-js/extra-typings";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type ErrorCode, InputError } from "../formats/input_error.ts";
import { suggest } from "../formats/yaml_tree.ts";
import { pathFrom } from "../runtime/pipeline/source.ts";
import type { Output } from "../runtime/run/progress.ts";
import type { Registry } from "../runtime/pipeline/file.ts";

/** Everything that a command needs of the program around it. */
export interface Context {
  /** Prints a line of the result. */
  print(line?: string): void;
  /** Receives events of runs as they come, on standard output. */
  readonly output: Output;
  /** Prints a line for people only: progress and errors. */
  note(line: string): void;
  /** Stage types by id. */
  readonly registry: Registry;
  /** A module that runs stages in threads, see `RunOptions.thread`. */
  readonly thread?: URL;
  /** True if the process exits after the command, see `RunOptions.exits`. */
  readonly exits?: boolean;
  /**
   * Folder in which relative paths of the arguments lie, by default the current one. `deno task` runs commands in the
   * project's folder, wherever the user is.
   */
  readonly from?: string | undefined;
  /** Terminal that shows the progress of commands that print their results; by default none. */
  readonly progress?: Output;
}

/** Folder of the detector that commands take when none is named. */
export const SHIPPED_DETECTOR: string = fileURLToPath(new URL("../models/faces", import.meta.url));

/** Folder of the face finder that commands take when none is named. */
export const SHIPPED_FINDER: string = fileURLToPath(new URL("../models/faces/finder", import.meta.url));

/** Declares a command's arguments and options, and its action. Name and description are added by the table of commands. */
export type Define = (context: Context) => CommandUnknownOpts;

/** Arguments that contradict each other, or that name something that is not there. */
export class UsageError extends InputError {
  /** The class. */
  override readonly name = "UsageError";
  /** See {@linkcode InputError}. */
  override readonly code: ErrorCode = "usage";
}

/** Thrown by an action that ends with another exit code than 0 after it printed why. */
export class Exit extends Error {
  /** The class. */
  override readonly name = "Exit";

  /** Takes the exit code. */
  constructor(readonly code: number) {
    super(`exit code ${code}`);
  }
}

/**
 * Runs a command.
 *
 * @param name Name and description as `--help` shows them.
 * @param args Arguments after the name.
 * @throws {UsageError} If the arguments are wrong; the message ends with the command's usage.
 */
export async function execute(
  define: Define,
  { name, doc }: { readonly name: string; readonly doc: string },
  args: readonly string[],
  context: Context,
): Promise<void> {
  // A value that begins with a minus sign is no option.
  const words = args.reduce<string[]>((all, word) => {
    const last = all.at(-1);
    if (last?.startsWith("--") && !last.includes("=") && /^-[\d.]/.test(word)) return all.with(-1, `${last}=${word}`);
    return [...all, word];
  }, []);
  const make = () =>
    define(context)
      .name(name)
      .description(doc)
      .helpOption("-h, --help", "print this text")
      .configureHelp({ optionDescription })
      .showSuggestionAfterError(false)
      .configureOutput({
        writeOut: (text) => context.print(text.trimEnd()),
        writeErr: () => {}, // the message is in the error that exitOverride throws
        getOutHelpWidth: () => 80,
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      })
      .exitOverride()
      .hook("preAction", (_, action) => resolvePaths(action, context.from));
  const command = make();
  const usage = `\nusage: ${name} ${command.usage()} (--help lists the options)`;
  try {
    // Looked for first: a misspelt option that must be given would be reported as missing.
    const [unknown] = make().parseOptions(words).unknown;
    if (unknown !== undefined && unknown !== "--help" && unknown !== "-h") {
      const given = unknown.replace(/=.*$/s, "");
      const hint = suggest(given, command.options.flatMap(({ long }) => long ?? []), "options");
      throw new UsageError(`Cannot use option ${given} as there is no such option` + (hint ? `, hint: ${hint}` : ""));
    }
    await command.parseAsync(words, { from: "user" });
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(error.message + usage);
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return; // --help
    throw new UsageError(`Cannot read the arguments: ${error.message.replace(/^error: |\.$/g, "")}${usage}`);
  }
}

/** Text of `--help` for an option: its description, and whether it is required. */
function optionDescription(this: Help, option: Option): string {
  return Help.prototype.optionDescription.call(this, option) + (option.mandatory ? " (required)" : "");
}

/** The argument that stands for standard input. */
export const STANDARD_INPUT = "-";

/** Words of an argument's or option's placeholder that say that its value is a path. */
const PATH_WORDS = /\b(FILE|DIR|PATH|IMAGE|IN|OUT)\b/;

/** Makes relative paths among the values that a user gave relative to the current folder. */
function resolvePaths(command: CommandUnknownOpts, from: string | undefined): void {
  if (from === undefined || resolve(from) === Deno.cwd()) return;
  const at = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(at);
    if (typeof value !== "string" || value === STANDARD_INPUT) return value;
    const [, name = "", path = value] = /^([^/=]+=)(.+)$/.exec(value) ?? [];
    return name + pathFrom(path, from);
  };
  for (const [k, argument] of command.registeredArguments.entries()) {
    if (k < command.args.length && PATH_WORDS.test(argument.name())) {
      command.processedArgs[k] = at(command.processedArgs[k]);
    }
  }
  for (const option of command.options) {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) !== "cli" || !PATH_WORDS.test(option.flags)) continue;
    const value = command.getOptionValue(name);
    const isWord = typeof value === "string" && option.flags.split(/[<>|]/).includes(value);
    if (!isWord) command.setOptionValue(name, at(value));
  }
}

/** The flag of an option by its name in an action: `--min-score` of `minScore`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Reads the values of an option that may be given several times. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...previous ?? [], value];
}

/** Reads a number that `allowed` describes and `test` accepts. */
export function number(allowed: string, test: (value: number) => boolean): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() && test(value)) return value;
    throw new InvalidArgumentError(`It must be ${allowed}.`);
  };
}

/** Prints a line; ends the process when nobody reads any more, as in `| head`. */
export function print(line = ""): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(141); // as a shell reports SIGPIPE
    throw error;
  }
}

/** Prints a line to the standard error stream. */
export function note(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Is aborted by Ctrl-C or SIGTERM; the second time the process ends at once. */
export function stopSignal(what = "step"): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(130);
    note(`\nStopping after this ${what}; once more stops at once.`);
    controller.abort(new DOMException("The run was interrupted", "AbortError"));
  };
  const names = ["SIGINT", "SIGTERM"] as const;
  for (const name of names) Deno.addSignalListener(name, stop);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) Deno.removeSignalListener(name, stop);
    },
  };
}
