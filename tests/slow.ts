/**
 * Tests that take ten seconds or more. They run with `-- --slow` only, as `deno task test:all` has it.
 *
 * @module
 */

/** For definitions of slow tests, also on a GPU. */
export const slow = { ignore: !Deno.args.includes("--slow") };

/** Registers a slow test. */
export function slowTest(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test(name, slow, fn);
}
