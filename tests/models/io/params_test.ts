import assert from "node:assert/strict";
import { Graph } from "../../../engine/graph.ts";
import { readSafetensors, writeSafetensors } from "../../../formats/safetensors.ts";
import {
  countParameters,
  initialise,
  type ParameterSpec,
  Scope,
  specsUnder,
  ZEROS,
} from "../../../models/io/params.ts";
import { loadSafetensors, saveSafetensors } from "../../../models/io/parameter_files.ts";

function declare(): Map<string, ParameterSpec> {
  const specs = new Map<string, ParameterSpec>();
  const scope = new Scope(new Graph(), specs, "net/");
  scope.conv("conv_in", 2, 3, 4, 5);
  scope.at("blocks.0").linear("proj", 3, 2, { bias: false });
  scope.at("blocks.0").norm("norm", 4);
  scope.conv("zero", 1, 1, 4, 4, { init: ZEROS });
  scope.embedding("table", 300, 8, 0.5);
  return specs;
}

Deno.test("Scope names and counts parameters as PyTorch does", () => {
  const specs = declare();
  assert.deepEqual([...specs.keys()], [
    "net/conv_in.weight",
    "net/conv_in.bias",
    "net/blocks.0.proj.weight",
    "net/blocks.0.norm.weight",
    "net/blocks.0.norm.bias",
    "net/zero.weight",
    "net/zero.bias",
    "net/table.weight",
  ]);
  assert.equal(countParameters(specs), 120 + 5 + 6 + 8 + 20 + 2400);
  assert.equal(specsUnder(specs, "net/blocks.").size, 3);
});

Deno.test("initialise() fills by the spec and depends on nothing but seed and name", () => {
  const specs = declare();
  const tensors = initialise(specs, 7);
  const bound = 1 / Math.sqrt(24);
  const weight = tensors.get("net/conv_in.weight")!.data;
  assert.ok(weight.every((x) => Math.abs(x) <= bound) && weight.some((x) => Math.abs(x) > bound * 0.9));
  assert.ok(tensors.get("net/zero.weight")!.data.every((x) => x === 0));
  const table = tensors.get("net/table.weight")!.data;
  const std = Math.sqrt(table.reduce((total, x) => total + x * x, 0) / table.length);
  assert.ok(Math.abs(std - 0.5) < 0.05, `${std}`);
  const alone = initialise(new Map([...specs].filter(([name]) => name === "net/table.weight")), 7);
  assert.deepEqual(alone.get("net/table.weight"), tensors.get("net/table.weight"));
});

Deno.test("saveSafetensors() lays filters out as PyTorch does, loadSafetensors() turns them back", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const specs = declare();
    const tensors = initialise(specs, 7);
    const path = `${dir}/net.safetensors`;
    await saveSafetensors(path, specs, tensors);
    {
      using file = await readSafetensors(path);
      const { shape, data } = await file.read("conv_in.weight");
      assert.deepEqual(shape, [5, 4, 2, 3]);
      const [o, i, h, w] = [3, 1, 1, 2];
      const ours = tensors.get("net/conv_in.weight")!.data;
      assert.equal(data[((o * 4 + i) * 2 + h) * 3 + w], ours[((h * 3 + w) * 4 + i) * 5 + o]);
      assert.deepEqual(file.info("blocks.0.proj.weight").shape, [2, 3]);
    }
    assert.deepEqual(await loadSafetensors(path, specs), tensors);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("loadSafetensors() names all parameters that do not fit", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const specs = declare();
    const path = `${dir}/net.safetensors`;
    await saveSafetensors(path, specs, initialise(specs, 7));
    using file = await readSafetensors(path);
    const tensors = new Map(await Promise.all(file.names.map(async (n) => [n, await file.read(n)] as const)));
    tensors.delete("zero.bias");
    tensors.set("conv_in.bias", { shape: [6], data: new Float32Array(6) });
    tensors.set("other", { shape: [1], data: new Float32Array(1) });
    tensors.set("position_ids", { shape: [1], data: new Float32Array(1) });
    await writeSafetensors(path, tensors);
    await assert.rejects(loadSafetensors(path, specs, { ignore: /position_ids/ }), {
      name: "InputError",
      message:
        `Cannot read the parameters from ${path}:\n  "conv_in.bias" is [6], not [5]\n  "zero.bias" is missing\n` +
        `  "other" is unexpected`,
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
