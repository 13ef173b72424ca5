/**
 * fast-check, which only tests need: not in the imports of deno.json, whose packages every user downloads.
 *
 * A test run draws the same inputs each time, so that it fails by a change and not by chance; `--fuzz=N` draws new ones.
 */
// deno-lint-ignore no-import-prefix
import fc from "npm:fast-check@4.10.2";

if (!Deno.args.some((arg) => arg.startsWith("--fuzz="))) fc.configureGlobal({ seed: 1 });

export default fc;
