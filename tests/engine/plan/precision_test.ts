import assert from "node:assert/strict";
import { Executable } from "../../../engine/executable.ts";
import { type F64, Graph, type Target, type Value } from "../../../engine/graph.ts";
import { plan } from "../../../engine/plan/plan.ts";
import { add } from "../../../ops/add.ts";
import { affine } from "../../../ops/affine.ts";
import { gradients } from "../../../ops/autodiff.ts";
import { conv2d, conv2dOp } from "../../../ops/conv2d.ts";
import { matmul, matmulOp } from "../../../ops/matmul.ts";
import { groupNorm } from "../../../ops/norm.ts";
import { reshape } from "../../../ops/reshape.ts";
import { silu, siluOp } from "../../../ops/silu.ts";
import { sum } from "../../../ops/sum.ts";
import { upsampleNearest } from "../../../ops/upsample_nearest.ts";
import { check } from "../../check_op.ts";
import { gpuTest } from "../../gpu.ts";

const target: Target = { storage: "buffer", bindings: 16, tiled: false };

/** A network of two convolutions with norms, in which some values must be f16 and some f32. */
function network() {
  const graph = new Graph();
  const weight = (name: string, shape: readonly number[]) => graph.parameter(name, shape);
  const x = graph.input("x", [2, 8, 8, 4]);
  const first = conv2d(x, weight("f", [3, 3, 4, 8]), { padding: 1 });
  const normed = silu(groupNorm(first, weight("gamma", [8]), weight("beta", [8]), { groups: 2 }));
  const large = upsampleNearest(normed, 2);
  const second = conv2d(large, weight("g", [3, 3, 8, 8]), { padding: 1 });
  const loss = sum(second);
  const grads = gradients(loss, ["f", "gamma", "g"].map((name) => graph.parameters.get(name)!));
  return { graph, x, first, large, second, loss, grads };
}

Deno.test("plan() keeps activations and their gradients as f16 in mixed precision, sums and what is fetched as f32", () => {
  const { loss, grads, second } = network();
  const outputs = { loss, ...Object.fromEntries(grads.map((g, k) => [`g${k}`, g])) };
  const halves = (more: Record<string, Value>, precision: "f32" | "f16-mixed") => {
    const { dispatches, slots, pool } = plan({ outputs: { ...outputs, ...more }, precision }, target);
    const kinds = dispatches.flatMap(({ name, writes }) =>
      writes.map((value) => [name.split("+")[0]!, pool[slots.get(value)!]!.dtype] as const)
    );
    return (dtype: string) => new Set(kinds.filter(([, kind]) => kind === dtype).map(([name]) => name));
  };
  const mixed = halves({}, "f16-mixed");
  for (const name of ["conv2d", "conv2d_backward_input", "upsample_nearest"]) assert.ok(mixed("f16").has(name), name);
  for (const name of ["sum", "moments", "group_sums", "conv2d_backward_weight"]) {
    assert.ok(!mixed("f16").has(name), name);
  }
  assert.deepEqual([...halves({}, "f32")("f16")], []);
  assert.ok(halves({ second }, "f16-mixed")("f32").has("conv2d"), "the result of a convolution is fetched");
});

Deno.test("plan() needs half the memory for activations in mixed precision", () => {
  const graph = new Graph();
  let y = conv2d(graph.input("x", [1, 32, 32, 64]), graph.parameter("f0", [3, 3, 64, 64]), { padding: 1 });
  for (let k = 1; k < 4; k++) y = silu(conv2d(y, graph.parameter(`f${k}`, [3, 3, 64, 64]), { padding: 1 }));
  const pool = (precision: "f32" | "f16-mixed") =>
    plan({ outputs: { y: sum(y) }, precision }, { ...target, keepComposite: true }).bytes.pool;
  assert.ok(pool("f16-mixed") < 0.55 * pool("f32"));
});

/** A convolution, SiLU, a residual and a product: `[N, H, W, C]`. */
const [references, shapes] = [
  (inputs: readonly F64[]): F64[] => {
    const [x, f, w] = inputs as readonly [F64, F64, F64];
    const attrs = { stride: 1, padding: [1, 1, 1, 1] } as const;
    const [h] = conv2dOp.reference([x, f], attrs);
    const [activated] = siluOp.reference([h], {});
    const mixed = { shape: [1, 36, 8], data: activated.data.map((v, k) => v + h.data[k]!) };
    const same = { ta: false, tb: false, heads: 1, merged_a: true, merged_b: true, merged_y: true };
    return [...matmulOp.reference([mixed, { shape: [1, 8, 5], data: w.data }], same)];
  },
  [[1, 6, 6, 4], [3, 3, 4, 8], [8, 5]],
];

// Two values are rounded to 11 bits one after the other, and summed over.
check(
  {
    name: "a network in mixed precision",
    compute: ([x, f, w]) => {
      const h = conv2d(x!, f!, { padding: 1 });
      const y = matmul(reshape(add(silu(h), h), [1, 36, 8]), reshape(w!, [1, 8, 5]));
      return [y];
    },
    reference: references,
  },
  [{ shapes, attrs: {} }],
  { tol: 2e-3, gradTol: 6e-3, tiled: true, precision: "f16-mixed" },
);

gpuTest("values beyond f16's range are not finite in mixed precision, and are found", async (device) => {
  const graph = new Graph();
  const x = graph.input("x", [1, 4, 4, 4]);
  const large = conv2d(x, graph.constant(new Float32Array(16).fill(1), [1, 1, 4, 4]));
  const y = sum(conv2d(silu(large), graph.constant(new Float32Array(16).fill(1), [1, 1, 4, 4])));
  using exe = new Executable(device, { outputs: { y: affine(y, 2) }, precision: "f16-mixed" });
  exe.run({ x: new Float32Array(64).fill(2) });
  const [sound] = await exe.read("y");
  assert.ok(Math.abs(sound! / (2 * 64 * 4 * 8) - 1) < 1e-3);
  const x_large = new Float32Array(64).fill(1e5);
  exe.run({ x: x_large });
  // SwiftShader makes NaN of infinities as f16.
  assert.ok(!Number.isFinite((await exe.read("y"))[0]));
  assert.ok(!Number.isFinite((await exe.firstNonFinite({ x: x_large }))?.value));
});
