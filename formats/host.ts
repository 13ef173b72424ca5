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

/**
 * Sets environment variables of the process, which its other threads see too.
 *
 * @param values Values by name.
 * @returns A function that restores what was there before; what was not set is empty from then on. To take a variable
 *   away and add it again moves the table of all, while other threads may read it: measured as a crash in 3 of 130 lists
 *   of adapters (glibc 2.36).
 * @throws {Error} If the host has no environment that may be changed.
 */
export function setEnvironment(values: Readonly<Record<string, string>>): () => void {
  const names = Object.keys(values);
  if (!names.length) return () => {};
  const { env } = deno ?? {};
  if (!env) throw new Error(`Cannot set ${names.join(", ")} as the host has no environment variables`);
  const before = names.map((name) => [name, env.get(name)] as const);
  for (const [name, value] of Object.entries(values)) env.set(name, value);
  return () => {
    for (const [name, value] of before) env.set(name, value ?? "");
  };
}

/**
 * Output of a program of the host.
 *
 * @returns Undefined where there is no such program, it may not be run, or it fails.
 */
export async function hostProgram(name: string, args: readonly string[]): Promise<string | undefined> {
  if (!deno?.Command) return undefined;
  try {
    const { success, stdout } = await new deno.Command(name, { args: [...args], stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (["NotFound", "NotCapable", "PermissionDenied"].includes((error as Error).name)) return undefined;
    throw error;
  }
}

/** Memory of the machine, bytes; undefined in a browser, and where it may not be asked for. */
export function machineMemory(): number | undefined {
  try {
    return deno?.systemMemoryInfo?.().total;
  } catch (error) {
    if ((error as Error).name === "NotCapable") return undefined;
    throw error;
  }
}

/** True if the program may read a path without being asked for permission. */
export function mayRead(path: string): boolean {
  return deno?.permissions?.querySync({ name: "read", path }).state === "granted";
}

/** Operating system, such as `linux` or `darwin`; undefined in a browser. */
export const PLATFORM: string | undefined = deno?.build?.os;

/** Name and version, such as `deno 2.9.6`; in a browser its user agent. */
export const HOST: string = deno?.version ? `deno ${deno.version.deno}` : navigator.userAgent;

/** Classes of the host's own errors, by their names. */
export const HOST_ERRORS: Readonly<Record<string, new (message: string) => Error>> = { ...deno?.errors };
