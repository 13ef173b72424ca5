/**
 * The host of the code: Deno, or a browser, which has neither environment variables nor errors of files.
 *
 * The engine, the ops and the networks name the host through this module alone, so that they run in both.
 *
 * @module
 */

/** Deno's global; undefined in a browser. */
const deno: Partial<typeof Deno> | undefined = globalThis.Deno;

/**
 * Value of an environment variable.
 *
 * @param name Its name.
 * @returns Undefined where it is not set, and in a browser.
 */
export function environment(name: string): string | undefined {
  return deno?.env?.get(name);
}

/** Name and version, such as `deno 2.9.6`; in a browser its user agent. */
export const HOST: string = deno?.version ? `deno ${deno.version.deno}` : navigator.userAgent;

/** Classes of the host's own errors, by their names. */
export const HOST_ERRORS: Readonly<Record<string, new (message: string) => Error>> = { ...deno?.errors };
