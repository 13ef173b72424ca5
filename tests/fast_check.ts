/** fast-check, which only tests need: not in the imports of deno.json, whose packages every user downloads. */
export { default } from "npm:fast-check@4.10.2";
