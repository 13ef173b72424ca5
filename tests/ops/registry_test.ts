import assert from "node:assert/strict";
import { OPS } from "../../ops/registry.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, root));
const files = [...Deno.readDirSync(new URL("ops/", root))].map(({ name }) => name);

Deno.test("OPS has every op of ops/ under its name", () => {
  const declared = files.filter((name) => name.endsWith(".ts") && !name.startsWith("_"))
    .flatMap((name) => [...read(`ops/${name}`).matchAll(/^export const (\w+Op)\b/gm)].map(([, op]) => op!));
  assert.equal(Object.keys(OPS).length, declared.length, declared.join());
  for (const [name, op] of Object.entries(OPS)) assert.equal(op.name, name);
});

Deno.test("an op has the file, and its kernel the shader, of its name", () => {
  for (const [name, { lowering }] of Object.entries(OPS)) {
    if (name === "slice_texels") continue; // a variant of slice without a kernel
    // A kernel with many layouts is in a file of its own, beside the op's.
    const kernels = `_${name}.ts`,
      file = read(`ops/${name}.ts`) + (files.includes(kernels) ? read(`ops/${kernels}`) : "");
    if (lowering.kind === "kernel" || lowering.kind === "elementwise") {
      assert.match(file, new RegExp(`shaders/${name}\\.wgsl`), name);
    }
    if (lowering.kind === "elementwise") assert.match(lowering.source, new RegExp(`fn op_${name}\\(`), name);
    if (lowering.kind === "kernel") assert.deepEqual(lowering.tune?.[0] ?? {}, {}, `${name}: its own kernel is first`);
  }
});
