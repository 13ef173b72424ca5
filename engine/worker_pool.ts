/**
 * Work in other threads: module workers that are set up once and then answer calls.
 *
 * Workers live no longer than the process and inherit its permissions. Large arrays of the setup should lie in memory
 * that is shared ({@linkcode share}), or each worker gets a copy.
 *
 * @module
 */

import { HOST_ERRORS } from "../formats/host.ts";
import { InputError } from "../formats/input_error.ts";

/** Threads other than the main one: a core each, but for that of the main one, and at least one. */
export function workerCount(): number {
  return Math.max(1, Math.min(16, navigator.hardwareConcurrency - 1));
}

/** A call on its way to a worker. */
interface Request {
  readonly id: number;
  readonly call: unknown;
}

/** Its answer. */
type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ErrorText };

/** The part of an error that reaches another thread. */
export interface ErrorText {
  /** Its class. */
  readonly name: string;
  /** Its message. */
  readonly message: string;
  /** Its stack. */
  readonly stack: string | undefined;
  /** Code of an error of the system, such as `ENOSPC`. */
  readonly code: string | undefined;
  /** Parts of an {@linkcode InputError}. */
  readonly input?: Pick<InputError, "sentence" | "code" | "place" | "hint">;
}

/** A call that waits for its answer. */
interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
}

/** A few workers that run the same module and share its calls. */
export class WorkerPool<Call, Result> implements Disposable {
  readonly #threads: Thread[];
  #calls = 0;
  #broken: Error | undefined;

  /**
   * Starts the workers.
   *
   * @param module A module that calls {@linkcode serve}.
   * @param setup Data that each of them starts with; must be cloneable.
   * @param size How many.
   */
  constructor(module: URL, setup: unknown, size: number = workerCount()) {
    this.#threads = Array.from({ length: size }, () => {
      const worker = new Worker(module, { type: "module" });
      const waiting = new Map<number, Waiting>();
      worker.onmessage = ({ data }: MessageEvent<Reply>) => {
        const call = waiting.get(data.id)!;
        waiting.delete(data.id);
        if ("error" in data) call.reject(errorOf(data.error));
        else call.resolve(data.value);
      };
      worker.onerror = (event) => {
        event.preventDefault();
        this.#break(new Error(`A worker failed: ${event.message}`));
      };
      worker.postMessage(setup);
      return { worker, waiting };
    });
  }

  /**
   * Sends a call to a worker. After {@linkcode dispose} it is never answered.
   *
   * @throws {Error} The error of the worker, with its message; errors of Deno and of JavaScript keep their class.
   */
  call(call: Call): Promise<Result> {
    if (this.#broken) return Promise.reject(this.#broken);
    const { worker, waiting } = this.#threads.reduce((a, b) => b.waiting.size < a.waiting.size ? b : a);
    const id = this.#calls++;
    return new Promise<Result>((resolve, reject) => {
      waiting.set(id, { resolve: resolve as Waiting["resolve"], reject });
      worker.postMessage({ id, call } satisfies Request);
    });
  }

  /** Without one of its workers the pool is of no use. */
  #break(error: Error): void {
    this.#broken ??= error;
    for (const { waiting } of this.#threads) {
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    }
  }

  /** Ends the workers, whatever they are doing. */
  [Symbol.dispose](): void {
    for (const { worker } of this.#threads) worker.terminate();
  }
}

/** Whose classes are known on both sides. */
const ERRORS: Readonly<Record<string, new (message: string) => Error>> = {
  InputError,
  TypeError,
  RangeError,
  ...HOST_ERRORS,
};

/** The error again; those of users, of Deno and of JavaScript keep their class. */
export function errorOf({ name, message, stack, code, input }: ErrorText): Error {
  const error = input ? new InputError(input.sentence, input) : new (ERRORS[name] ?? Error)(message);
  if (stack !== undefined) error.stack = stack;
  return input || code === undefined ? error : Object.assign(error, { code });
}

/** The part of a thrown value that goes to another thread. */
export function textOf(thrown: unknown): ErrorText {
  const { name, message, stack, code }: Error & { code?: string } = thrown instanceof Error
    ? thrown
    : new Error(String(thrown));
  if (!(thrown instanceof InputError)) return { name, message, stack, code };
  // Classes derived from it are not distinguished on the other side.
  const { sentence, place, hint } = thrown;
  return { name: "InputError", message, stack, code, input: { sentence, code: thrown.code, place, hint } };
}

/** The part of a worker's global scope that is used. */
interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(reply: Reply, transfer: Transferable[]): void;
}

/**
 * Makes the module a worker's: to be called once, at its top level.
 *
 * @param open Takes the setup and gives what answers calls. Typed arrays at the top of an answer are handed over, not
 * copied: each must be new, with a buffer of its own.
 */
export function serve<Setup, Call>(open: (setup: Setup) => (call: Call) => unknown): void {
  const scope = globalThis as unknown as WorkerScope;
  let answer: ((call: Call) => unknown) | undefined;
  scope.onmessage = async ({ data }) => {
    if (!answer) {
      answer = open(data);
      return;
    }
    const { id, call } = data as Request;
    try {
      const value = await answer(call as Call);
      scope.postMessage({ id, value }, buffersOf(value));
    } catch (error) {
      scope.postMessage({ id, error: textOf(error) }, []);
    }
  };
}

/** Buffers of the typed arrays that a value is, or that it holds. */
function buffersOf(value: unknown): ArrayBuffer[] {
  const parts = ArrayBuffer.isView(value) ? [value] : Object.values(value ?? {});
  return parts.flatMap((part) => ArrayBuffer.isView(part) && part.buffer instanceof ArrayBuffer ? [part.buffer] : []);
}

/** An array in memory that workers share; the array itself where it already is. */
export function share<T extends Uint8Array | Float32Array>(array: T): T {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const shared = new (array.constructor as new (buffer: SharedArrayBuffer) => T)(
    new SharedArrayBuffer(array.byteLength),
  );
  shared.set(array);
  return shared;
}
