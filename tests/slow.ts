/**
 * Spread into the definition of a test that takes ten seconds or more: it runs only with `-- --slow`, as
 * `deno task test:all` has it.
 */
export const slow = { ignore: !Deno.args.includes("--slow") };
