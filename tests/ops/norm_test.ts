import assert from "node:assert";
import { eachElement, type Reader, reader, tabulate } from "../../ops/_reference.ts";
import { batchNorm, batchNormTrain, groupNorm, instanceNorm, layerNorm } from "../../ops/norm.ts";
import { silu } from "../../ops/silu.ts";
import { type F64, Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { check, spreadNumbers } from "../check_op.ts";
import { gpuTest } from "../gpu.ts";

const [N, R, C] = [2, 70, 6];
const data = Float32Array.from({ length: N * R * C }, (_, k) => 100 + 3 * spreadNumbers(0, k));
const gamma = Float32Array.from({ length: C }, (_, c) => 1 + c / 4);
const beta = Float32Array.from({ length: C }, (_, c) => c / 2 - 1);

/** Mean and variance of the elements for which `same` holds. */
function stats(same: (n: number, r: number, c: number) => boolean) {
  const list = [...data].filter((_, k) => same(Math.floor(k / C / R), Math.floor(k / C) % R, k % C));
  const mean = list.reduce((a, b) => a + b) / list.length;
  return { mean, var: list.reduce((a, v) => a + (v - mean) ** 2, 0) / list.length, count: list.length };
}

gpuTest("norms have the statistics of their definitions", async (device) => {
  const graph = new Graph();
  const x = graph.input("x", [N, R, C]);
  const [g, b] = [graph.constant(gamma, [C]), graph.constant(beta, [C])];
  const running = { mean: graph.constant(beta, [C]), var: graph.constant(gamma, [C]) };
  const trained = batchNormTrain(x, g, b, running);
  const outputs = {
    group: silu(groupNorm(x, g, b, { groups: 2 })),
    instance: instanceNorm(x),
    layer: layerNorm(x, g, b),
    train: trained.y,
    infer: batchNorm(x, g, b, running),
    mean: trained.running_mean,
    var: trained.running_var,
  };
  const exe = new Executable(device, { outputs });
  exe.run({ x: data });
  const check = async (name: keyof typeof outputs, want: (n: number, r: number, c: number, v: number) => number) => {
    (await exe.read(name)).forEach((got, k) => {
      const expected = want(Math.floor(k / C / R), Math.floor(k / C) % R, k % C, data[k]!);
      assert.ok(Math.abs(got - expected) < 2e-5 * Math.max(1, Math.abs(expected)), `${name}: ${got}, ${expected}`);
    });
  };
  const norm = (s: { mean: number; var: number }, v: number) => (v - s.mean) / Math.sqrt(s.var + 1e-5);
  const cache = new Map<string, ReturnType<typeof stats>>();
  const once = (key: string, same: Parameters<typeof stats>[0]) =>
    cache.get(key) ?? cache.set(key, stats(same)).get(key)!;
  await check("group", (n, _, c, v) => {
    const y = norm(once(`g${n} ${c < 3}`, (m, _, d) => m === n && d < 3 === c < 3), v) * gamma[c]! + beta[c]!;
    return y / (1 + Math.exp(-y));
  });
  await check("instance", (n, _, c, v) => norm(once(`i${n} ${c}`, (m, _, d) => m === n && d === c), v));
  await check(
    "layer",
    (n, r, c, v) => norm(once(`l${n} ${r}`, (m, q) => m === n && q === r), v) * gamma[c]! + beta[c]!,
  );
  const channel = (c: number) => once(`b${c}`, (_, __, d) => d === c);
  await check("train", (_, __, c, v) => norm(channel(c), v) * gamma[c]! + beta[c]!);
  await check("infer", (_, __, c, v) => norm({ mean: beta[c]!, var: gamma[c]! }, v) * gamma[c]! + beta[c]!);
  await check("mean", (_, __, c) => 0.9 * beta[c]! + 0.1 * channel(c).mean);
  await check("var", (_, __, c) => 0.9 * gamma[c]! + 0.1 * channel(c).var * N * R / (N * R - 1));
  exe.destroy();
});

/** Rows `[N, R, C]` normalised over what `group` gives the same number, by plain loops. */
function normalized(x: F64, group: (n: number, r: number, c: number) => number): Reader {
  const sums = new Map<number, { count: number; total: number; squares: number }>();
  const of = (n: number, r: number, c: number) => {
    const key = group(n, r, c);
    const known = sums.get(key) ?? { count: 0, total: 0, squares: 0 };
    sums.set(key, known);
    return known;
  };
  eachElement(x, (v, n, r, c) => {
    const sum = of(n, r, c);
    sum.count++;
    sum.total += v;
  });
  const mean = (n: number, r: number, c: number) => of(n, r, c).total / of(n, r, c).count;
  eachElement(x, (v, n, r, c) => of(n, r, c).squares += (v - mean(n, r, c)) ** 2);
  const X = reader(x);
  return (n, r = 0, c = 0) => (X(n, r, c) - mean(n, r, c)) / Math.sqrt(of(n, r, c).squares / of(n, r, c).count + 1e-5);
}

const NORMS = {
  groupNorm: [(x, g, b) => groupNorm(x, g, b, { groups: 2 }), (n, _, c) => 10 * n + Math.floor(c / 3)],
  layerNorm: [(x, g, b) => layerNorm(x, g, b), (n, r) => 100 * n + r],
  batchNormTrain: [(x, g, b) => batchNormTrain(x, g, b, { mean: b, var: g }).y, (_, __, c) => c],
} satisfies Record<
  string,
  [(x: Value, g: Value, b: Value) => Value, (n: number, r: number, c: number) => number]
>;
for (const [name, [norm, group]] of Object.entries(NORMS)) {
  check(
    {
      name,
      compute: ([x, g, b]) => [norm(x!, g!, b!)],
      reference([x, g, b]) {
        const [Y, G, B] = [normalized(x!, group), reader(g!), reader(b!)];
        return [tabulate(x!.shape, (n, r, c) => Y(n, r, c) * G(c) + B(c))];
      },
    },
    [{ shapes: [[2, 5, 6], [6], [6]], attrs: {} }],
    { gradTol: 2e-4 },
  );
}
