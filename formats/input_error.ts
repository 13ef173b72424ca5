/**
 * The one class of errors for what a user did: a wrong file, option, argument or environment.
 *
 * Any exception of another class is a bug, but for those of the machine: `Deno.errors`, a lost GPU, an interrupt.
 *
 * @module
 */

/** Parts of an {@linkcode InputError} other than its sentence. */
export interface InputErrorOptions {
  /** Where the mistake is: `file:line:column`, or a path. It is put before the sentence. */
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
  /** Where the mistake is, if the sentence does not say so itself. */
  readonly place: string | undefined;
  /** Next step for the user. */
  readonly hint: string | undefined;

  /**
   * Makes the message.
   *
   * @param sentence `Cannot X as Y: current value is Z`: what was given, and what is allowed.
   * @param options Place and hint, which become a part of the message, and the cause.
   */
  constructor(sentence: string, { place, hint, cause }: InputErrorOptions = {}) {
    super(
      `${place === undefined ? "" : `${place}: `}${sentence}${hint === undefined ? "" : `, hint: ${hint}`}`,
      cause === undefined ? {} : { cause },
    );
    this.place = place;
    this.hint = hint;
  }
}
