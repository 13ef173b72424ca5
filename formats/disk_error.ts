/**
 * Errors of files and disks, which are no bugs: the path, the reason, and a next step.
 *
 * @module
 */

import { InputError } from "./input_error.ts";

/** A file or a folder that could not be written. */
export class DiskError extends Error {
  /** The class. */
  override readonly name = "DiskError";
  /** Code of the operating system, such as `ENOSPC`. */
  readonly code: string;

  /** Takes the path and the error that the system gave. */
  constructor(path: string, cause: Error & { readonly code: string }) {
    super(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
    this.code = cause.code;
  }
}

/** Next steps by the codes of errors. */
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: "free space on that disk",
  EDQUOT: "free space within your quota",
  EROFS: "the disk is mounted read-only; make it writable, or write elsewhere",
  EACCES: "make the folder writable for you, or write elsewhere",
  EPERM: "make the folder writable for you, or write elsewhere",
  EEXIST: "a file lies where a folder is expected; name another place",
  ENOTDIR: "a file lies where a folder is expected; name another place",
  ENAMETOOLONG: "give it a shorter name",
  EFBIG: "the disk or a limit (ulimit -f) allows no file of that size; write elsewhere",
  EMFILE: "too many files are open; raise the limit (ulimit -n)",
  EIO: "the disk reports a fault; copy what is on it, and write elsewhere",
};

/** Next step for an error of the disk; undefined for any other. */
export function diskHint(error: unknown): string | undefined {
  const code = codeOf(error) ?? "";
  // Whatever is not written by this module's errors was read.
  if (!(error instanceof DiskError) && (code === "EACCES" || code === "EPERM")) {
    return "make it readable and writable for you";
  }
  return HINTS[code];
}

/** True if the system refused something: a full disk, missing rights. A closed file (EBADF) is no fault of the system. */
export function isSystemError(error: unknown): boolean {
  return /^E(?!BADF$)[A-Z0-9]+$/.test(codeOf(error) ?? "");
}

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : undefined;
}

/** The system's words, without the path that it may have named. */
function reasonOf({ message }: Error): string {
  return message.replace(/(\(os error \d+\)).*$/s, "$1");
}

/** The error to throw for one that came while a path was written: a {@linkcode DiskError} for those of the system. */
export function writeError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof DiskError || !isSystemError(error)) return error;
  // Only a file that is read can be missing: folders to write to are made.
  if (error instanceof Deno.errors.NotFound) return error;
  return new DiskError(path, error as Error & { readonly code: string });
}

/** The error to throw for one that came while a path was read: an `InputError` for what a user can mend. */
export function readError(error: unknown, path: string): unknown {
  if (error instanceof Deno.errors.PermissionDenied) {
    return new InputError(`Cannot read ${path}: ${reasonOf(error)}`, {
      hint: "make it readable for you",
      cause: error,
    });
  }
  if (error instanceof Deno.errors.IsADirectory) {
    return new InputError(`Cannot read ${path}: it is a folder, and a file is expected`, { cause: error });
  }
  if (error instanceof Deno.errors.NotADirectory) {
    return new InputError(`Cannot read ${path}: a file lies where a folder is expected`, { cause: error });
  }
  if (error instanceof Deno.errors.FilesystemLoop) {
    return new InputError(`Cannot read ${path}: its links lead round in a circle`, { cause: error });
  }
  if (error instanceof Deno.errors.NotFound) {
    const target = linkAt(path);
    if (target !== undefined) {
      return new InputError(`Cannot read ${path}: it is a link to ${target}, which is missing`, {
        code: "missing",
        hint: "copy or download what it leads to",
        cause: error,
      });
    }
  }
  return error;
}

/** Target of a link; undefined for anything else. */
function linkAt(path: string): string | undefined {
  try {
    return Deno.lstatSync(path).isSymlink ? Deno.readLinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
