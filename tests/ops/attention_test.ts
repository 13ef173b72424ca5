import assert from "node:assert";
import { attention, attentionOp } from "../../ops/attention.ts";
import { attentionGradOp } from "../../ops/attention_grad.ts";
import { attentionTilesOp } from "../../ops/attention_tiles.ts";
import { gradients } from "../../ops/autodiff.ts";
import { mul } from "../../ops/mul.ts";
import { sum } from "../../ops/sum.ts";
import { type F64, Graph, type Target } from "../../engine/graph.ts";
import { plan } from "../../engine/plan/plan.ts";
import { Executable } from "../../engine/executable.ts";
import { spreadNumbers } from "../check_op.ts";
import { gpuTest, TILED, UNTILED } from "../gpu.ts";

gpuTest("attention() weighs values by scores, head by head, causal or not, whole or in blocks", async (device) => {
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
  const exe = new Executable(device, { outputs });
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
});

/** Queries, keys, values, and the loss `sum(y r)` with its gradients. */
function attentionLoss(graph: Graph, [N, L, T, width]: readonly number[], heads: number, most_scores: number) {
  const inputs = [["q", L], ["k", T], ["v", T]].map(([name, rows]) =>
    graph.input(name as string, [N!, rows as number, width!])
  );
  const y = attention(inputs[0]!, inputs[1]!, inputs[2]!, { heads, most_scores });
  return gradients(sum(mul(y, graph.input("r", y.shape))), inputs);
}

const ways = [
  { how: "with weights that are kept", rows: 7, options: UNTILED },
  { how: "in blocks, whose weights are computed again backwards,", rows: 3, options: UNTILED },
  { how: "in tiles, that keep no weights,", rows: 3, options: TILED },
];
for (const { how, rows, options } of ways) {
  gpuTest(`attention() ${how} has the right gradient`, async (device) => {
    const [N, L, T, heads, D] = [2, 7, 5, 3, 4];
    const sizes = [N, L, T, heads * D];
    const graph = new Graph();
    const grads = attentionLoss(graph, sizes, heads, rows * N * heads * T);
    const exe = new Executable(device, { outputs: Object.fromEntries(grads.map((g, k) => [`g${k}`, g])) });
    assert.equal(exe.plan.dispatches.some(({ name }) => name === "softmax"), options === UNTILED);
    const data = [...graph.inputs.values()].map(({ shape }, input): F64 => ({
      shape,
      data: Float64Array.from({ length: N * shape[1]! * heads * D }, (_, k) => Math.fround(spreadNumbers(input, k))),
    }));
    const [q, k, v, r] = data as [F64, F64, F64, F64];
    exe.run(Object.fromEntries([...graph.inputs.keys()].map((name, i) => [name, Float32Array.from(data[i]!.data)])));
    const loss = () =>
      attentionOp.reference([q, q, k, v], { heads, causal: false, rows: L })[0]!.data.reduce(
        (t, y, i) => t + y * r.data[i]!,
        0,
      );
    for (const [i, x] of [q, k, v].entries()) {
      const got = await exe.read(`g${i}`);
      assert.equal(got.length, x.data.length);
      for (let e = 0; e < got.length; e += 5) {
        const [at, h] = [x.data[e]!, 1e-4];
        x.data[e] = at + h;
        const up = loss();
        x.data[e] = at - h;
        const want = (up - loss()) / (2 * h);
        x.data[e] = at;
        assert.ok(Math.abs(got[e]! - want) < 1e-4, `gradient ${i}, element ${e}: ${got[e]}, ${want}`);
      }
    }
    exe.destroy();
  }, options);
}

for (const [where, options] of [["", UNTILED], [", in tiles", TILED]] as const) {
  gpuTest(`attention() takes heads of any width${where}`, async (device) => {
    for (const [heads, D] of [[3, 6], [2, 5], [1, 3]] as const) {
      const [N, L, T] = [2, 5, 7];
      const graph = new Graph();
      const names = ["q", "k", "v"] as const;
      const data = names.map((name, input): F64 => {
        const shape = [N, name === "q" ? L : T, heads * D];
        const count = shape.reduce((a, b) => a * b);
        return { shape, data: Float64Array.from({ length: count }, (_, k) => Math.fround(spreadNumbers(input, k))) };
      });
      const [q, k, v] = data as [F64, F64, F64];
      const values = data.map(({ shape }, input) => graph.input(names[input]!, shape));
      const y = attention(values[0]!, values[1]!, values[2]!, { heads });
      const r = Float32Array.from({ length: N * L * heads * D }, (_, i) => spreadNumbers(9, i));
      const [dq, dk, dv] = gradients(sum(mul(y, graph.constant(r, y.shape))), values);
      const exe = new Executable(device, { outputs: { y, dq: dq!, dk: dk!, dv: dv! } });
      exe.run(Object.fromEntries(names.map((name, input) => [name, Float32Array.from(data[input]!.data)])));
      const [want] = attentionTilesOp.reference([q, k, v], { heads, causal: false });
      const near = async (name: string, { data }: F64) =>
        (await exe.read(name)).forEach((value, i) =>
          assert.ok(Math.abs(value - data[i]!) < 2e-5, `${heads} x ${D}, ${name}[${i}]: ${value}, ${data[i]}`)
        );
      await near("y", want);
      const dy = { shape: q.shape, data: Float64Array.from(r) };
      for (const wrt of names) {
        await near(`d${wrt}`, attentionGradOp.reference([q, q, k, v, dy], { heads, causal: false, wrt })[0]);
      }
      exe.destroy();
    }
  }, options);
}

Deno.test("attention() names heads that do not divide the width", () => {
  const q = new Graph().input("q", [1, 4, 10]);
  assert.throws(() => attention(q, q, q, { heads: 4 }), /Cannot attend with 4 heads: .* width of \[1, 4, 10\]/);
});

Deno.test("memory of attention in blocks grows with the tokens, not with their square", () => {
  const target: Target = { storage: "buffer", bindings: 16, tiled: false };
  const pool = (tokens: number) => {
    const graph = new Graph();
    const grads = attentionLoss(graph, [1, tokens, tokens, 8], 2, 2 ** 16);
    return plan({ outputs: Object.fromEntries(grads.map((g, k) => [`g${k}`, g])) }, target).bytes.pool;
  };
  assert.ok(pool(2048) < 2.2 * pool(1024), `${pool(1024)}, ${pool(2048)}`);
});
