import assert from "node:assert/strict";
import { join } from "node:path";
import { type ReadOptions, readPipeline } from "../../runtime/pipeline/file.ts";
import { drawPipeline } from "../../runtime/pipeline/diagram.ts";
import { PipelineError } from "../../formats/yaml_tree.ts";
import { ran, registry } from "./fake_stages.ts";
import { bench } from "./run_pipeline.ts";

Deno.test("a pipeline is read in the order of its dependencies, with parameters of any type", async () => {
  using b = bench();
  const pipeline = await b.read("lines=5", "styles=[ink, oil]", "stages.second.with.lr=0.5", "seed=9");
  assert.deepEqual(pipeline.stages.map(({ id }) => id), ["extra", "faces", "first", "second", "report"]);
  const [extra, faces, , second, report] = pipeline.stages;
  assert.equal(pipeline.seed, 9);
  assert.equal(faces!.options["count"], 5);
  assert.deepEqual(extra!.options["styles"], ["ink", "oil"]);
  assert.equal(second!.options["lr"], 0.5);
  assert.deepEqual(second!.origins, {
    steps: `${b.file}:7`,
    lr: "--set stages.second.with.lr=0.5",
    sleep_ms: "default",
  });
  assert.deepEqual(new Set(report!.needs), new Set(["faces", "extra", "first", "second"]));
});

Deno.test("a pipeline that extends another changes what it names and takes out what it sets to null", async () => {
  using b = bench();
  const file = join(b.dir, "small.yaml");
  Deno.writeTextFileSync(file, "extends: test.yaml\nparams: { lines: 1 }\nstages: { second: null, extra: null }\n");
  const pipeline = await readPipeline(file, registry);
  assert.equal(pipeline.name, "small");
  assert.deepEqual(pipeline.stages.map(({ id }) => id), ["faces", "first", "report"]);
  assert.equal(pipeline.stages[0]!.options["count"], 1);
});

Deno.test("a matrix makes stages of a stage and of those that take from it, which share what does not vary", async () => {
  using b = bench(`
name: test
seed: 7
params: { looks: [ink, oil] }
stages:
  faces: { uses: fake/draw, matrix: { look: "\${looks}" }, with: { count: 2, domain: "\${look}" } }
  extra: { uses: fake/draw, with: { count: 3 } }
  net: { uses: fake/train, in: { data: faces }, matrix: { seed: [1, 2] }, with: { steps: 2 } }
  other: { uses: fake/train, in: { data: extra, init: net }, with: { steps: 1 } }
  some: { uses: fake/collect, in: { all: [net@*, extra, "other@look=oil,seed=2"] } }
  report: { uses: fake/collect, in: { all: "*" } }
`);
  const { stages } = await b.read();
  const byId = new Map(stages.map((stage) => [stage.id, stage]));
  const nets = ["ink", "oil"].flatMap((look) => [1, 2].map((seed) => `net@look=${look},seed=${seed}`));
  assert.deepEqual(stages.filter(({ of }) => of === "net").map(({ id }) => id), nets);
  assert.equal(byId.get("faces@look=oil")!.options["domain"], "oil");
  assert.deepEqual(byId.get("other@look=oil,seed=2")!.inputs, { data: ["extra"], init: ["net@look=oil,seed=2"] });
  assert.deepEqual(byId.get("some")!.needs, [...nets, "extra", "other@look=oil,seed=2"]);
  assert.equal(byId.get("report")!.needs.length, 2 + 1 + 4 + 4 + 1);
  await b.run([], { until: "net" });
  assert.equal(ran.length, 2 + 4);
  const seedOf = (id: string) => JSON.parse(b.at(`${id}/manifest.json`)).recipe.seed;
  assert.equal(seedOf(nets[0]!), seedOf(nets[2]!), "the same seed in each style");
  assert.notEqual(seedOf(nets[0]!), seedOf(nets[1]!));
  await b.run(["looks=[ink, oil, photo]"]);
  assert.deepEqual(ran.slice(0, 5), [
    "faces@look=photo",
    "extra",
    "net@look=photo,seed=1",
    "net@look=photo,seed=2",
    "other@look=ink,seed=1",
  ]);
  await b.run(["looks=[ink, oil, photo]"], { only: "net@look=ink,seed=2" });
  assert.deepEqual(ran, ["net@look=ink,seed=2"]);
});

Deno.test("a pipeline reads nothing outside of the project but what the command line names", async () => {
  using b = bench();
  using other = bench();
  const set = [`stages.faces.with.from=${other.dir}`];
  await b.read(...set);
  // Making links takes more permissions than the tests have.
  const link = `Deno.symlinkSync(${JSON.stringify(other.dir)}, ${JSON.stringify(join(b.dir, "link"))})`;
  new Deno.Command("deno", { args: ["eval", link] }).outputSync();
  for (const path of [other.dir, join(b.dir, "link"), join(b.dir, "..", other.dir.split("/").at(-1)!)]) {
    const file = join(b.dir, "sly.yaml");
    Deno.writeTextFileSync(file, `stages:\n  faces: { uses: fake/draw, with: { count: 1, from: "${path}" } }\n`);
    await assert.rejects(readPipeline(file, registry), (error) => {
      assert(error instanceof PipelineError);
      const [where, what] = ["sly\\.yaml:2:53", `it leads to ${other.dir}, outside of the project`];
      assert.match(error.message, new RegExp(`${where}: Cannot read "from" in stage "faces" as ${what}: current`));
      assert.match(error.message, /hint: only the command line may name it: --set stages\.faces\.with\.from=/);
      return true;
    });
    await readPipeline(file, registry, { roots: [other.dir] });
  }
  Deno.writeTextFileSync(join(b.dir, "sly.yaml"), `extends: ${"../".repeat(9)}${other.file}\n`);
  await assert.rejects(readPipeline(join(b.dir, "sly.yaml"), registry), /Cannot extend ".*" as it leads to .*outside/);
});

Deno.test("a wrong --set is an error at its own text", async () => {
  using b = bench();
  const message = (set: string) => b.read(set).then(() => "", (error) => error.message.split("\n\n")[0]);
  assert.equal(
    await message("line=3"),
    `--set:1:1: Cannot set "line" as the pipeline has no such parameter\n    1 | line=3\n      | ^\n        hint: did you mean "lines"? (options are set by stages.STAGE.with.OPTION=VALUE)`,
  );
  assert.match(await message("lines=many"), /^--set:1:7: Cannot read "count" in stage "faces" as it must be a whole/);
  assert.match(await message("stages.thrid.with.lr=1"), /no stage "thrid"/);
  assert.match(await message("lines"), /as it is not key=value/);
});

Deno.test("required parameters are asked for in a run, and left open in validation", async () => {
  const [file, faces] = ["tests/errors/required.yaml", "tests"];
  const open = await readPipeline(file, registry, { allowUnset: true });
  assert.deepEqual(open.unset, { faces: "a folder of photographs" });
  const given = await readPipeline(file, registry, { set: [`faces=${faces}`] });
  assert.equal(given.stages[0]!.options["from"], faces);
  assert.deepEqual(given.unset, {});
});

Deno.test("stages of optional parameters are left out, with what takes from them alone", async () => {
  using b = bench();
  const file = join(b.dir, "optional.yaml");
  Deno.writeTextFileSync(
    file,
    `params: { guest: { optional: "lines of another tool" } }
stages:
  own: { uses: fake/draw, with: { count: 1, styles: ["$\${guest}"] } }
  guest: { uses: fake/draw, with: { count: "\${guest}" } }
  twice: { uses: fake/train, in: { data: guest }, matrix: { seed: [1, 2] }, with: { steps: 1 } }
  alone: { uses: fake/train, in: { data: guest }, with: { steps: 1 } }
  mixed: { uses: fake/train, in: { data: own, init: alone }, with: { steps: 1 } }
  list: { uses: fake/collect, in: { all: [own, mixed, "twice@*"] } }
  rest: { uses: fake/collect, in: { all: "*" } }
`,
  );
  const needs = async (options: ReadOptions) => {
    const { stages, unset } = await readPipeline(file, registry, options);
    assert.deepEqual(unset, {});
    return Object.fromEntries(stages.map(({ id, needs }) => [id, needs.toSorted().join(" ")]));
  };
  const own = { own: "", list: "own", rest: "list own" };
  assert.deepEqual(await needs({}), own);
  assert.deepEqual(await needs({ allowUnset: true }), own);
  const all = {
    own: "",
    guest: "",
    "twice@seed=1": "guest",
    "twice@seed=2": "guest",
    alone: "guest",
    mixed: "alone own",
    list: "mixed own twice@seed=1 twice@seed=2",
    rest: "alone guest list mixed own twice@seed=1 twice@seed=2",
  };
  assert.deepEqual(await needs({ set: ["guest=2"] }), all);
  assert.deepEqual(await needs({ keepOptional: true }), all);
});

Deno.test("a pipeline is drawn with a box for each stage and a line for each input", async () => {
  using b = bench();
  const pipeline = await b.read();
  const svg = drawPipeline({ ...pipeline, name: "a <b>" }, new Set(["first"]));
  assert.match(svg, /<title>a &lt;b&gt;<\/title>/);
  assert.equal(svg.match(/<path /g)!.length, 4, "of the report's only the last");
  assert.equal(svg.match(/stroke-dasharray/g)!.length, 1);
  for (const { id } of pipeline.stages) assert(svg.includes(`>${id}</text>`), id);
  assert.doesNotMatch(svg, /NaN|undefined/);
});
