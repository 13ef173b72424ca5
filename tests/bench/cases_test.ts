import assert from "node:assert/strict";
import { arithmetic, CASES } from "../../bench/cases.ts";
import { ASKED } from "../../bench/peers/main.ts";
import { plan } from "../../engine/plan/plan.ts";

for (const { name, bound, flops, workload } of CASES) {
  Deno.test(`bench: ${name} can be planned`, async () => {
    const { fetches, specs = new Map() } = await workload();
    const { dispatches, leaves } = plan(fetches, { storage: "buffer", bindings: 16, tiled: true });
    assert.ok(dispatches.length > 0);
    if (bound === "arithmetic") assert.ok((flops ?? arithmetic(fetches)) > 0);
    // A parameter without a first value may only be the state of an optimiser or sampler.
    for (const { node: { leaf } } of leaves) {
      if (leaf?.kind !== "parameter" || specs.has(leaf.name)) continue;
      assert.match(leaf.name, /^(p$|adam\.|ema\/|loss_scale\/|sampler\/)/);
    }
  });
}

Deno.test("bench: no two cases have the same name", () => {
  assert.equal(new Set(CASES.map(({ name }) => name)).size, CASES.length);
});

Deno.test("bench: other engines are asked for convolutions, products, attention and a network", () => {
  const kinds = CASES.filter(({ name }) => ASKED.test(name)).map(({ name }) => name.split(":")[0]);
  assert.deepEqual([...new Set(kinds)], [
    "conv2d.forward",
    "conv2d.backward_input",
    "conv2d.backward_weight",
    "matmul",
    "attention.forward",
    "attention.backward",
    "unet.forward",
  ]);
  assert.equal(kinds.length, 13);
});
