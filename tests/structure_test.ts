import assert from "node:assert/strict";
import { PEERS } from "../bench/peers/main.ts";

const root = new URL("../", import.meta.url);

/** What the files of each folder may import beside those of their own folder. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = (() => {
  const below: Record<string, string[]> = { formats: [] };
  below.engine = ["formats"];
  below.ops = [...below.engine, "engine"];
  below.faces = [...below.ops, "ops"];
  below.models = [...below.faces, "faces"];
  below.runtime = ["formats", "engine"];
  below.stages = [...below.models, "models", "runtime"];
  below.cli = [...below.stages, "stages", "bench"];
  below.bench = [...below.stages, "stages", "cli"];
  return below;
})();

/** Shaders that are no op's own: drawn by other folders, or shared by several ops. */
const SHARED_SHADERS = /^(face_render|_)/;

/** Paths of the files below a folder, relative to the root; none when there is no such folder. */
function filesOf(folder: string, suffix: string): string[] {
  try {
    return [...Deno.readDirSync(new URL(`${folder}/`, root))].flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory ? filesOf(path, suffix) : path.endsWith(suffix) ? [path] : [];
    }).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** `ops/conv2d.direct.ts` is `conv2d`. */
const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1).split(".")[0]!;

/** Paths, relative to the root, of the product's own files that a file imports. */
function importsOf(path: string): string[] {
  const code = Deno.readTextFileSync(new URL(path, root))
    // Examples in comments import too.
    .replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
  return [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)]
    .map(([, specifier]) => new URL(specifier!, new URL(path, root)).href)
    .map((href) => href.slice(root.href.length));
}

Deno.test("imports go one way: formats < engine < ops < faces < models < stages < cli", () => {
  const wrong = Object.entries(MAY_IMPORT).flatMap(([folder, below]) => {
    const allowed = ["shaders", "deno.json", folder, ...below]; // the first two are data, not code
    return filesOf(folder, ".ts").flatMap((path) =>
      importsOf(path).filter((target) => !allowed.includes(target.split("/")[0]!)).map((to) => `${path} imports ${to}`)
    );
  });
  assert.deepEqual(wrong, [], "hint: move what is shared down");
});

/** Folders whose code runs in a browser too: it reaches files and the host through `formats/` alone. */
const HOST_FREE = ["engine", "ops", "models/detectors", "models/diffusion", "models/finder", "faces"];
/** Their files that are not free of the host: codecs of images, and profiles in them, use Node's zlib. */
const HOST_BOUND = ["faces/data/image_file.ts", "faces/data/image_header.ts"];

Deno.test(`${HOST_FREE.join(", ")} name neither Deno nor Node`, () => {
  const found = HOST_FREE.flatMap((folder) => filesOf(folder, ".ts")).filter((path) => {
    const code = Deno.readTextFileSync(new URL(path, root)).replace(/\/\*[^]*?\*\/|\/\/.*$/gm, "");
    return /\bDeno\.|from "node:/.test(code);
  });
  assert.deepEqual(found, HOST_BOUND, "hint: formats/files.ts and formats/host.ts");
});

Deno.test("engine, ops and networks reach none of the files that are bound to the host", () => {
  const reached = new Set<string>();
  const visit = (path: string) => {
    if (reached.has(path)) return;
    reached.add(path);
    if (path.endsWith(".ts")) importsOf(path).forEach(visit);
  };
  for (const folder of ["engine", "ops", "models/detectors", "models/diffusion", "models/finder"]) {
    filesOf(folder, ".ts").forEach(visit);
  }
  assert.deepEqual(HOST_BOUND.filter((path) => reached.has(path)), []);
  const node = [...reached].filter((path) => path.endsWith(".ts")).filter((path) =>
    /from "node:/.test(Deno.readTextFileSync(new URL(path, root)).replace(/\/\*[^]*?\*\//g, ""))
  );
  assert.deepEqual(node, [], "hint: a browser has none of Node's modules");
});

Deno.test("commands about pipelines load no op, network or face unless a stage of the pipeline does", () => {
  const staticImports = (path: string) => {
    const code = Deno.readTextFileSync(new URL(path, root)).replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
    return [...code.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?\bfrom\s*"(\.[^"]+)"/gm)]
      .map(([, specifier]) => new URL(specifier!, new URL(path, root)).href.slice(root.href.length));
  };
  const loaded = new Set<string>();
  const visit = (path: string) => {
    if (loaded.has(path)) return;
    loaded.add(path);
    if (path.endsWith(".ts")) staticImports(path).forEach(visit);
  };
  for (const name of ["run", "plan", "validate", "graph", "status", "watch", "stages"]) visit(`cli/${name}.ts`);
  visit("main.ts");
  assert.ok(loaded.has("cli/command.ts") && loaded.has("runtime/run/run.ts"));
  assert.deepEqual([...loaded].filter((path) => /^(ops|models|faces)\//.test(path)), [], "hint: import() it");
});

Deno.test("nothing but tests imports from tests", () => {
  const product = [...Object.keys(MAY_IMPORT).flatMap((folder) => filesOf(folder, ".ts")), "mod.ts", "main.ts"];
  assert.deepEqual(product.filter((path) => importsOf(path).some((to) => to.startsWith("tests/"))), []);
});

const sources = Object.keys(MAY_IMPORT).flatMap((folder) => filesOf(folder, ".ts"));
const shaders = filesOf("shaders", ".wgsl");
// Files that start with "_" are private helpers, and mod.ts is the list of all.
const ops = filesOf("ops", ".ts").map(nameOf).filter((name) => !name.startsWith("_") && name !== "mod");

Deno.test("every shader has an op of its name or is a shared one", () => {
  const orphans = shaders.filter((path) => !ops.includes(nameOf(path)) && !SHARED_SHADERS.test(nameOf(path)));
  assert.deepEqual(orphans, [], "hint: name it ops/NAME.ts and shaders/NAME.wgsl, or shaders/NAME.variant.wgsl");
});

Deno.test("every shader is imported, and every imported shader is there", () => {
  const imported = new Set(sources.flatMap(importsOf).filter((path) => path.endsWith(".wgsl")));
  assert.deepEqual([...imported].sort(), shaders);
});

Deno.test("every op has a test file", () => {
  const tests = filesOf("tests/ops", "_test.ts").map((path) => nameOf(path).replace(/_test$/, ""));
  // `silu_grad` may be tested as the gradient it is, in silu_test.ts.
  const untested = ops.filter((op) => !tests.some((test) => op === test || op.startsWith(`${test}_`)));
  assert.deepEqual(untested, [], "hint: add tests/ops/NAME_test.ts");
});

const json = (path: string) => JSON.parse(Deno.readTextFileSync(new URL(path, root)));
const imported = Object.values<string>(json("deno.json").imports).map((name) =>
  name.replace(/^npm:\/|\/$/g, (m) => m === "/" ? "" : "npm:")
);

Deno.test("deno.lock has nothing but what deno.json imports", () => {
  assert.deepEqual(
    Object.keys(json("deno.lock").specifiers).sort(),
    imported.toSorted(),
    "hint: a user's first command downloads all of deno.lock; what only tests need goes to tests/deno.lock",
  );
});

Deno.test("bench/peers/deno.lock has the engines compared with, in their versions", () => {
  const locked = Object.keys(json("bench/peers/deno.lock").specifiers);
  assert.deepEqual(
    locked.filter((name) => !imported.includes(name)).sort(),
    [...new Set(PEERS.flatMap(({ packages }) => packages))].sort(),
    "hint: delete it and run `deno task bench --peers`",
  );
});
