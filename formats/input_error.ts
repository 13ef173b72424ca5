/**
 * The one class of errors for what a user did: a wrong file, option, argument or environment.
 *
 * Any exception of another class is a bug, but for those of the machine: `Deno.errors`, a lost GPU, an interrupt.
 *
 * @module
 */

/**
 * Codes of errors in the JSON forms of commands, with what each stands for. Programs may rely on them: sentences may be
 * worded anew, codes are not.
 */
export const ERROR_CODES = {
  usage: "the arguments of the command are wrong",
  pipeline: "a pipeline, a style or an edit is wrong; `problems` has each mistake",
  missing: "a file or a folder is not there",
  encoding: "a text file is neither UTF-8 nor UTF-16",
  format: "a file is damaged, or in a format that is not read",
  run: "the run cannot begin: another one is going on, or it was asked for a stage that is not there",
  memory: "it does not fit in the memory",
  loss: "the loss of a training is not finite",
  input: "anything else that was given is wrong",
  disk: "the disk is full, or may not be read or written",
  permission: "the command may not write there",
  no_adapter: "there is neither a GPU nor a software driver",
  device_lost: "the GPU was lost; the same command continues",
  interrupted: "Ctrl-C or SIGTERM; the same command continues",
  bug: "a mistake in Facewright",
} as const;

/** A code of {@linkcode ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Parts of an {@linkcode InputError} other than its sentence. */
export interface InputErrorOptions {
  /** Kind of the mistake, for programs; by default `input`. */
  readonly code?: ErrorCode | undefined;
  /** Place of the mistake, `file:line:column` or a path, which is put before the sentence. */
  readonly place?: string | undefined;
  /** Next step for the user. It is put behind the sentence. */
  readonly hint?: string | undefined;
  /** Error that led to this one. */
  readonly cause?: unknown;
}

/**
 * A mistake in what a user gave: a file, an option, an argument or a variable of the environment.
 *
 * Whoever catches errors to go on without a bad file, or to name them in a list, catches this class only.
 */
export class InputError extends Error {
  /** The class. */
  override readonly name: string = "InputError";
  /** Kind of the mistake, for programs. */
  readonly code: ErrorCode;
  /** The message without place and hint. */
  readonly sentence: string;
  /** Place of the mistake, if the sentence does not name it. */
  readonly place: string | undefined;
  /** Next step for the user. */
  readonly hint: string | undefined;

  /**
   * Makes the message.
   *
   * @param sentence `Cannot X as Y: current value is Z`: what was given, and what is allowed.
   * @param options Place and hint, which become a part of the message, and the cause.
   */
  constructor(sentence: string, { place, hint, cause, code = "input" }: InputErrorOptions = {}) {
    super(
      `${place === undefined ? "" : `${place}: `}${sentence}${hint === undefined ? "" : `, hint: ${hint}`}`,
      cause === undefined ? {} : { cause },
    );
    this.code = code;
    this.sentence = sentence;
    this.place = place;
    this.hint = hint;
  }
}
