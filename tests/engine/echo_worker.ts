/** A worker for tests: answers with what it was set up with and asked, after a while. */
import { serve } from "../../engine/worker_pool.ts";

type Setup = { factor: number; bytes: Uint8Array };
type Call = { ms: number; fail?: "range" | "missing" };

serve((setup: Setup) => {
  if (setup.factor === 0) throw new RangeError("Cannot multiply by 0");
  return (call: Call) => answer(setup, call);
});

async function answer(setup: Setup, call: Call) {
  await new Promise((resolve) => setTimeout(resolve, call.ms));
  if (call.fail === "range") throw new RangeError(`Cannot wait ${call.ms}`);
  if (call.fail === "missing") await Deno.readFile("tests/no such file");
  return { values: Float32Array.of(setup.factor * call.ms), first: setup.bytes[0]! };
}
