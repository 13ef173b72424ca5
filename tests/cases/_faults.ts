/**
 * Disks and rights that fail, as the tests may have rights to everything.
 *
 * @module
 */

/** An error as Deno throws it for one of the operating system. */
function systemError(kind: new (message: string) => Error, code: string, message: string): Error {
  return Object.assign(new kind(message), { code });
}

type AnyFunction = (...args: never[]) => unknown;

/** Replaces functions of an object while `use` runs. */
async function replacing<T>(
  replacements: readonly (readonly [object: object, name: string, by: (real: AnyFunction) => AnyFunction])[],
  use: () => Promise<T>,
): Promise<T> {
  const before = replacements.map(([object, name]) => Reflect.get(object, name));
  replacements.forEach(([object, name, by], k) => Reflect.set(object, name, by(before[k])));
  try {
    return await use();
  } finally {
    replacements.forEach(([object, name], k) => Reflect.set(object, name, before[k]));
  }
}

/** Runs with a disk that takes so many bytes more; what does not fit is written in part. */
export async function withFullDisk<T>(bytes: number, use: () => Promise<T>): Promise<T> {
  let left = bytes;
  /** The part of some bytes that fits; the error where none does. */
  const fitting = (data: Uint8Array): Uint8Array => {
    const part = data.subarray(0, left);
    left -= part.length;
    if (!part.length && data.length) throw systemError(Error, "ENOSPC", "No space left on device (os error 28)");
    return part;
  };
  const toFile = (real: AnyFunction) =>
    function (this: Deno.FsFile, data: Uint8Array) {
      return real.call(this, ...[fitting(data)] as never[]);
    } as AnyFunction;
  const whole = (real: AnyFunction) =>
    ((path: string, data: Uint8Array | string, ...options: never[]) => {
      const given = typeof data === "string" ? new TextEncoder().encode(data) : data;
      const part = given.length ? fitting(given) : given;
      const content = typeof data === "string" ? new TextDecoder().decode(part) : part;
      const done = real(...[path, content, ...options] as never[]);
      const rest = () => void (part.length < given.length && fitting(given.subarray(part.length)));
      return done instanceof Promise ? done.then(rest) : rest();
    }) as AnyFunction;
  return await replacing([
    [Deno.FsFile.prototype, "write", toFile],
    [Deno.FsFile.prototype, "writeSync", toFile],
    ...["writeFile", "writeFileSync", "writeTextFile", "writeTextFileSync"].map((name) => [Deno, name, whole] as const),
  ], use);
}

/** Functions that read what is at their first argument; facts of a file need no right to it. */
const READERS = [
  ...["readFile", "readTextFile", "open", "readDir", "copyFile"],
  ...["readFileSync", "readTextFileSync", "openSync", "readDirSync"],
];
/** Functions that write what is at their first argument. */
const WRITERS = ["mkdir", "mkdirSync", "makeTempDir", "writeFile", "writeTextFile", "writeTextFileSync"];

/** Runs as a user who may not read paths of one kind, and not write those of another. */
export async function withoutRights<T>(
  { read, write }: { readonly read?: RegExp; readonly write?: RegExp },
  use: () => Promise<T>,
): Promise<T> {
  const refusing = (refused: RegExp, name: string, path: unknown) => {
    const text = typeof path === "object" ? (path as { dir?: string }).dir ?? "" : String(path);
    if (!refused.test(text)) return;
    // The synchronous functions name no path.
    const place = name.endsWith("Sync") ? "" : `: ${name} '${text}'`;
    throw systemError(Deno.errors.PermissionDenied, "EACCES", `Permission denied (os error 13)${place}`);
  };
  const guard = (names: readonly string[], refused: RegExp) =>
    names.map((name) => {
      const by = (real: AnyFunction) =>
        ((...args: never[]) => {
          refusing(refused, name, args[0]);
          return real(...args);
        }) as AnyFunction;
      return [Deno, name, by] as const;
    });
  return await replacing([...read ? guard(READERS, read) : [], ...write ? guard(WRITERS, write) : []], use);
}
