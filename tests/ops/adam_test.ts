import assert from "node:assert/strict";
import { adam, adamHyper, adamOp, HYPER } from "../../ops/adam.ts";
import { Graph } from "../../engine/graph.ts";
import { plan } from "../../engine/plan/plan.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

const hyper = adamHyper(3, { lr: 0.01, weight_decay: 0.1, grad_scale: 0.5, ema_decay: 0.9 });
const filled = (size: number) => (input: number, k: number) => {
  if (input === 0) return hyper[k]!;
  const x = spreadNumbers(input, k);
  return (input - 1) % size === 3 ? x * x : x; // the second moment is not negative
};
const shapes = (size: number, ...tensors: number[][]) => [
  [HYPER.length],
  ...tensors.flatMap((shape) => Array<number[]>(size).fill(shape)),
];

checkOp(adamOp, [
  { shapes: shapes(4, [1]), attrs: { ema: false, l2: false }, fill: filled(4) },
  { shapes: shapes(4, [3, 5, 7]), attrs: { ema: false, l2: true }, fill: filled(4) },
  { shapes: shapes(5, [65, 8]), attrs: { ema: true, l2: false }, fill: filled(5) },
  { shapes: shapes(5, [5], [65, 8], [3, 3, 4]), attrs: { ema: true, l2: false }, fill: filled(5) },
], { tiled: true });

/** Parameters of each dispatch of a step on seven tensors. */
function grouped(bindings: number, tiled: boolean): number[] {
  const graph = new Graph();
  const tensors = Array.from({ length: 7 }, (_, n) => {
    const tensor = (name: string) => graph.input(`${name}${n}`, [n + 1]);
    return { p: tensor("p"), g: tensor("g"), m: tensor("m"), v: tensor("v"), ema: tensor("ema") };
  });
  const outputs = Object.fromEntries(adam(graph.input("hyper", [HYPER.length]), tensors).map(({ p }, n) => [n, p]));
  return plan({ outputs }, { storage: "buffer", bindings, tiled }).dispatches.map(({ writes }) => writes.length / 4);
}

Deno.test("adam() takes the tensors together that a dispatch on hardware can bind", () => {
  assert.deepEqual(grouped(65, true), [7]);
  assert.deepEqual(grouped(32, true), [3, 3, 1]);
  assert.deepEqual(grouped(10, true), [1, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual(grouped(65, false), [1, 1, 1, 1, 1, 1, 1]);
});

Deno.test("adam() names tensors whose shapes differ", () => {
  const graph = new Graph();
  const [p, g] = [graph.input("p", [4]), graph.input("g", [5])];
  assert.throws(
    () => adam(graph.input("hyper", [HYPER.length]), [{ p, g: p, m: p, v: p }, { p, g, m: p, v: p }]),
    /Cannot apply adam to \[11\], \[4\], \[5\], \[4\], \[4\]: the first must be \[11\], and those of a tensor equal/,
  );
});
