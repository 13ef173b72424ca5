import assert from "node:assert";
import { conv2d, conv2dOp } from "../../ops/conv2d.ts";
import { conv2dBackwardInput, conv2dBackwardInputOp } from "../../ops/conv2d_backward_input.ts";
import { conv2dBackwardWeight, conv2dBackwardWeightOp } from "../../ops/conv2d_backward_weight.ts";
import { add } from "../../ops/add.ts";
import { affine } from "../../ops/affine.ts";
import { silu } from "../../ops/silu.ts";
import { prefersWinograd, winograd, winogradGradient } from "../../ops/winograd.ts";
import { winogradFilterGradOp } from "../../ops/winograd_filter_grad.ts";
import { winogradFilterOp } from "../../ops/winograd_filter.ts";
import { winogradInputOp } from "../../ops/winograd_input.ts";
import { winogradOutputOp } from "../../ops/winograd_output.ts";
import { winogradProductOp } from "../../ops/winograd_product.ts";
import { winogradGradOutputTransformOp } from "../../ops/winograd_grad_output_transform.ts";
import { winogradFilterGradProductOp } from "../../ops/winograd_filter_grad_product.ts";
import { elements, type F64, Graph, type Shape, type Value } from "../../engine/graph.ts";
import { plan } from "../../engine/plan/plan.ts";
import { type Budget, type Fetches, MemoryError } from "../../engine/plan/records.ts";
import { Executable } from "../../engine/executable.ts";
import { Tensor } from "../../engine/tensor.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";
import { gpuTest, TILED } from "../gpu.ts";

checkOp(winogradInputOp, [
  { shapes: [[1, 4, 4, 8]], attrs: { transposed: false } },
  { shapes: [[2, 7, 10, 16]], attrs: { transposed: false } },
  { shapes: [[3, 9, 5, 8]], attrs: { transposed: true } },
]);

checkOp(winogradFilterOp, [{ shapes: [[3, 3, 8, 16]], attrs: {} }]);

checkOp(winogradProductOp, [
  { shapes: [[1, 36, 160], [36, 288]], attrs: { inputs: 16, outputs: 16, pixels: 128, transposed: false } },
  { shapes: [[5, 36, 160], [36, 672]], attrs: { inputs: 16, outputs: 40, pixels: 640, transposed: false } },
  { shapes: [[5, 36, 160], [36, 672]], attrs: { inputs: 40, outputs: 16, pixels: 640, transposed: true } },
], { tiled: true });

checkOp(winogradOutputOp, [
  { shapes: [[1, 36, 96]], attrs: { shape: [1, 4, 4, 8], transposed: false } },
  { shapes: [[2, 36, 160]], attrs: { shape: [2, 7, 10, 16], transposed: false } },
  { shapes: [[4, 36, 96]], attrs: { shape: [3, 9, 11, 8], transposed: true } },
]);

checkOp(winogradGradOutputTransformOp, [
  { shapes: [[1, 4, 4, 8]], attrs: {} },
  { shapes: [[3, 7, 10, 16]], attrs: {} },
]);

checkOp(winogradFilterGradProductOp, [
  { shapes: [[1, 36, 160], [1, 36, 96]], attrs: { inputs: 16, outputs: 8, tiles: 8 } },
  { shapes: [[3, 36, 96], [3, 36, 160]], attrs: { inputs: 8, outputs: 16, tiles: 21 } },
]);

checkOp(winogradFilterGradOp, [{ shapes: [[36, 288]], attrs: { shape: [3, 3, 16, 16] } }]);

const same = { stride: 1, padding: [1, 1, 1, 1] } as const;

const filled = (shape: Shape, seed: number): F64 => ({
  shape,
  data: Float64Array.from({ length: elements(shape) }, (_, k) => Math.fround(spreadNumbers(seed, k))),
});

function close(got: ArrayLike<number>, want: ArrayLike<number>, tol = 1e-5) {
  const scale = Array.from(want).reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  const off = Array.from(got).reduce((most, v, k) => Math.max(most, Math.abs(v - want[k]!)), 0);
  assert.ok(off <= tol * scale, `off by ${off / scale}`);
}

const names = (fetches: Fetches, budget?: Budget) =>
  plan(fetches, { storage: "buffer", bindings: 16, tiled: false }, budget).dispatches.map(({ name }) => name);
const steps = ["winograd_input", "winograd_filter", "winograd_product", "winograd_output"];

for (const [transposed, shape] of [[false, [3, 7, 10, 16]], [true, [3, 7, 10, 24]]] as const) {
  gpuTest(
    `winograd() computes a convolution${transposed ? "'s gradient" : ""}, whatever the size of the maps`,
    async (device) => {
      const [x, f] = [filled(shape, 1), filled([3, 3, 16, 24], 2)];
      const graph = new Graph();
      const y = winograd(graph.input("x", x.shape), graph.input("f", f.shape), { transposed, frozen: false });
      const exe = new Executable(device, { outputs: { y } });
      exe.run({ x: Float32Array.from(x.data), f: Float32Array.from(f.data) });
      const [want] = transposed
        ? conv2dBackwardInputOp.reference([x, f], { ...same, height: 7, width: 10 })
        : conv2dOp.reference([x, f], same);
      assert.deepEqual(y.shape, want!.shape);
      close(await exe.read("y"), want!.data);
      exe.destroy();
    },
  );
}

gpuTest("winogradGradient() computes the gradient of filters, whatever the size of the maps", async (device) => {
  const [x, dy] = [filled([3, 7, 10, 16], 1), filled([3, 7, 10, 24], 2)];
  const graph = new Graph();
  const df = winogradGradient(graph.input("x", x.shape), graph.input("dy", dy.shape));
  const exe = new Executable(device, { outputs: { df } });
  exe.run({ x: Float32Array.from(x.data), dy: Float32Array.from(dy.data) });
  const [want] = conv2dBackwardWeightOp.reference([x, dy], { ...same, kernel: [3, 3], parts: 1 });
  close(await exe.read("df"), want!.data);
  exe.destroy();
});

Deno.test("gradients of filters take the tiles of the maps that the convolution made", () => {
  const g = new Graph();
  const [x, f] = [g.input("x", [4, 16, 16, 64]), g.parameter("f", [3, 3, 64, 64])];
  const df = conv2dBackwardWeight(x, g.input("dy", x.shape), f.shape, same);
  const made = ["winograd_filter_grad", "winograd_filter_grad_product", "winograd_grad_output_transform"];
  assert.deepEqual(names({ outputs: { y: conv2d(x, f, { padding: 1 }), df } }).sort(), [...steps, ...made].sort());
});

Deno.test("convolutions with many channels are computed by Winograd's steps, with their epilogue in the last", () => {
  const g = new Graph();
  const x = g.input("x", [2, 8, 8, 64]);
  const h = conv2d(x, g.parameter("f", [3, 3, 64, 64]), { padding: 1, bias: g.parameter("b", [64]) });
  assert.deepEqual(names({ outputs: { y: add(silu(h), x) } }).sort(), steps.toSorted());
  const few = conv2d(g.input("few", [8, 16, 16, 16]), g.parameter("few", [3, 3, 16, 16]), { padding: 1 });
  const wide = conv2d(x, g.parameter("wide", [3, 3, 64, 64]), { padding: 1, stride: 2 });
  assert.deepEqual(names({ outputs: { few, wide } }), ["conv2d", "conv2d"]);
});

Deno.test("prefersWinograd() counts the step of the filters where they do not last", () => {
  const convolution = { maps: [4, 8, 8, 256], filters: [3, 3, 256, 256], ...same };
  assert.ok(prefersWinograd(convolution, [256, 256], true));
  assert.ok(!prefersWinograd({ ...convolution, maps: [2, 8, 8, 256] }, [256, 256], false));
  // Of tiles of 4 x 4, maps of 5 x 5 would fill two fifths.
  assert.ok(!prefersWinograd({ ...convolution, maps: [64, 5, 5, 256] }, [256, 256], true));
});

/** A convolution and its gradient with respect to the maps, with filters that last. */
function bothWays(filters: Value): Record<string, Value> {
  const { graph } = filters;
  const shape = [2, 8, 8, 64];
  return {
    y: conv2d(graph.input("x", shape), filters, { padding: 1 }),
    dx: conv2dBackwardInput(graph.input("dy", shape), filters, shape, same),
  };
}

for (const tiled of [false, true]) {
  gpuTest(
    `filters that last are made ready once, and anew when they are written${tiled ? ", with tiles" : ""}`,
    async (device) => {
      const before = device.memory.live;
      const graph = new Graph();
      const fetches = { outputs: bothWays(graph.parameter("f", [3, 3, 64, 64])) };
      const [x, dy, f, f2] = [1, 2, 3, 4].map((seed) => filled(seed < 3 ? [2, 8, 8, 64] : [3, 3, 64, 64], seed));
      const tensor = new Tensor(device, f!.shape, Float32Array.from(f!.data));
      const exe = new Executable(device, fetches, new Map([["f", tensor]]));
      const { dispatches, bytes } = exe.plan;
      assert.equal(dispatches.filter((d) => d.cached).length, 1);
      assert.equal(device.memory.live - before, bytes.parameters + bytes.given + bytes.pool);
      const inputs = { x: Float32Array.from(x!.data), dy: Float32Array.from(dy!.data) };
      const check = async (filters: F64) => {
        exe.run(inputs);
        close(await exe.read("y"), conv2dOp.reference([x!, filters], same)[0]!.data);
        const [dx] = conv2dBackwardInputOp.reference([dy!, filters], { ...same, height: 8, width: 8 });
        close(await exe.read("dx"), dx!.data);
      };
      await check(f!);
      exe.run(inputs); // with the filters made ready before
      await check(f!);
      tensor.write(Float32Array.from(f2!.data));
      await check(f2!);
      // Another computation writes the parameter.
      const half = new Graph();
      const p = half.parameter("f", f!.shape);
      const other = new Executable(device, { outputs: {}, updates: [[p, affine(p, 0.5)]] }, new Map([["f", tensor]]));
      other.run();
      await check({ shape: f2!.shape, data: f2!.data.map((v) => v / 2) });
      for (const one of [other, exe, tensor]) one.destroy();
    },
    tiled ? TILED : {},
  );
}

Deno.test("filters that are trained are made ready each time they are used", () => {
  const g = new Graph();
  const f = g.parameter("f", [3, 3, 64, 64]);
  const x = g.input("x", [4, 16, 16, 64]);
  const [y, dx] = [conv2d(x, f, { padding: 1 }), conv2dBackwardInput(g.input("dy", x.shape), f, x.shape, same)];
  const fetches: Fetches = { outputs: { y, dx }, updates: [[f, affine(f, 0.5)]] };
  const { dispatches } = plan(fetches, { storage: "buffer", bindings: 16, tiled: false });
  assert.equal(dispatches.filter(({ name, cached }) => name === "winograd_filter" && !cached).length, 2);
});

Deno.test("plan() takes the direct kernel where Winograd's steps need more memory than there is", () => {
  const fetches = { outputs: bothWays(new Graph().parameter("f", [3, 3, 64, 64])) };
  const direct = plan(fetches, { storage: "buffer", bindings: 16, tiled: false, keepComposite: true }).bytes;
  const budget = { bytes: direct.given + direct.pool, taken: 0 };
  assert.deepEqual(names(fetches, budget).sort(), ["conv2d", "conv2d_backward_input"]);
  assert.throws(() => names(fetches, { ...budget, bytes: budget.bytes - 1 }), MemoryError);
  assert.equal(names(fetches, { ...budget, bytes: 2 ** 24 }).length, 2 * steps.length - 1);
});
