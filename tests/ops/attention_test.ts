import assert from "node:assert";
import { attention } from "../../ops/attention.ts";
import { Graph } from "../../runtime/graph.ts";
import { Executable } from "../../runtime/run.ts";
import { spreadNumbers, testDevice } from "../check_op.ts";

Deno.test({
  name: "attention() weighs values by scores, head by head, causal or not, whole or in blocks",
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const [N, L, heads, D] = [2, 5, 3, 4];
    const width = heads * D;
    const data = [0, 1, 2].map((input) =>
      Float32Array.from({ length: N * L * width }, (_, k) => spreadNumbers(input, k))
    );
    const graph = new Graph();
    const [q, k, v] = ["q", "k", "v"].map((name) => graph.input(name, [N, L, width]));
    const outputs = {
      all: attention(q!, k!, v!, { heads }),
      causal: attention(q!, k!, v!, { heads, causal: true }),
      blocks: attention(q!, k!, v!, { heads, most_scores: 2 * N * heads * L }),
    };
    const exe = new Executable(await testDevice(), { outputs });
    exe.run({ q: data[0]!, k: data[1]!, v: data[2]! });
    for (const name of ["all", "causal", "blocks"] as const) {
      const got = await exe.read(name);
      got.forEach((value, i) => {
        const [c, l, n] = [i % width, Math.floor(i / width) % L, Math.floor(i / width / L)];
        const at = (t: number, d: number) => (n * L + t) * width + Math.floor(c / D) * D + d;
        const weights = Array.from({ length: name === "causal" ? l + 1 : L }, (_, t) => {
          let score = 0;
          for (let d = 0; d < D; d++) score += data[0]![at(l, d)]! * data[1]![at(t, d)]!;
          return Math.exp(score / Math.sqrt(D));
        });
        const sum = weights.reduce((a, b) => a + b);
        const want = weights.reduce((a, w, t) => a + w / sum * data[2]![at(t, c % D)]!, 0);
        assert.ok(Math.abs(value - want) < 1e-5, `${name} ${i}: ${value}, ${want}`);
      });
    }
    exe.destroy();
  },
});
