/**
 * Files that may be missing.
 *
 * @module
 */

/** Whether there is something at a path. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** The text of a file, undefined where there is none. */
export function readIfThere(path: string): string | undefined {
  return exists(path) ? Deno.readTextFileSync(path) : undefined;
}
