import assert from "node:assert/strict";
import { z } from "zod";
import {
  readTuned,
  type TunedKernels,
  TunedSelector,
  tuningFile,
  writeTuned,
} from "../../engine/tuning/tuning_cache.ts";
import { apply, type Candidate, Graph, type NoAttrs, type Op, type Target, type Value } from "../../engine/graph.ts";
import { readPipeline, type Registry } from "../../runtime/pipeline/file.ts";
import { runPipeline, StageError } from "../../runtime/run/run.ts";
import { plan } from "../../engine/plan/plan.ts";
import { silent } from "../../runtime/run/progress.ts";
import { Executable } from "../../engine/executable.ts";
import { type AnyStage, stage } from "../../runtime/stage.ts";
import { readManifest } from "../../runtime/run/cache.ts";
import { CandidateRun, KernelBenchmark } from "../../engine/tuning/benchmark.ts";
import { mostOf, tunables, tuneAll, Tuner, type Work } from "../../engine/tuning/tune.ts";
import { conv2d } from "../../ops/conv2d.ts";
import { affine } from "../../ops/affine.ts";
import { inFolder } from "../stages/run_stages.ts";
import { runCommand } from "../cli/run_command.ts";
import { gpuTest } from "../gpu.ts";

/** The largest of `x` and `x`, again and again: `N` is how often, `OFF` is added, `BAD` is no WGSL. */
const largest: Op<NoAttrs, 1> = {
  name: "largest",
  bound: "compute",
  shapes: ([x]) => [x],
  lowering: {
    kind: "kernel",
    tune: [{}, { BAD: 1 }, { OFF: 1 }, { N: 1 }],
    kernel: ({ outputs: [y] }, _target, { N = 500, OFF = 0, BAD = 0 }) => ({
      source: `
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  var y = ld_x(t);
  for (var k = 0; k < $(N); k++) { y = max(y, ld_x((t + k * u.threads) % u.threads)); }
  //@ for bad in BAD
  y = nothing(y);
  //@ end
  st_y(t, y + $(OFF));
}`,
      label: "tests/largest.wgsl",
      entry: "forward",
      reads: ["x"],
      writes: ["y"],
      constants: { N, OFF, BAD },
      threads: y.shape.reduce((a, b) => a * b) / 4,
    }),
  },
  reference: ([x]) => [x],
};

const SHAPE = [30, 64];
const KEY = "texture largest forward N500,OFF0,BAD0 f32[32,64] f32[32,64]";

function largestOf(shape = SHAPE): { readonly y: Value } {
  return { y: apply(largest, [new Graph().input("x", shape)], {}) };
}

/** The count that a plan builds the kernel with. */
const countOf = ({ plan }: Executable) => plan.dispatches[0]!.program.kernel.constants!["N"];

/** Replaces measured times by given ones until it is disposed: a loaded machine decides nothing. */
function timesOf(time: (candidate: Candidate) => number): Disposable {
  const { prototype } = CandidateRun;
  const measured = Object.getOwnPropertyDescriptor(prototype, "time")!;
  prototype.time = function () {
    return Promise.resolve(time(this.candidate));
  };
  return { [Symbol.dispose]: () => void Object.defineProperty(prototype, "time", measured) };
}

/** Milliseconds in proportion to the work of {@linkcode largest}. */
const byCount = ({ N = 500 }: Candidate) => N / 100;

const target: Target = { storage: "texture", bindings: 16, tiled: false };
const fast: TunedKernels = { [KEY]: { choice: { N: 1 }, default_gflops: 1, gflops: 20 } };

Deno.test("a key rounds extents up to powers of two and names f16 and frozen inputs", () => {
  const graph = new Graph();
  const f = graph.parameter("f", [3, 3, 96, 40]);
  const y = conv2d(graph.input("x", [3, 20, 20, 96]), f, { padding: 1 });
  const keyOf = (on: Target, work: Partial<Work> = {}) =>
    tunables([{ fetches: { outputs: { y } }, times: 1, ...work }], on)[0]!.key;
  const rest = "frozen f32[4,4,128,64] f32[4,32,32,64]";
  assert.equal(keyOf(target), `texture conv2d forward P4,KH3,KW3,S1 f32[4,32,32,128] ${rest}`);
  assert.equal(keyOf(target, { isF16: (name) => name === "f" }), keyOf(target).replace("f32[4,4", "f16[4,4"));
  const fetches = { outputs: { y }, updates: [[f, affine(f, 2)]] } as const;
  assert.equal(keyOf(target, { fetches }), keyOf(target).replace("frozen ", ""));
  assert.match(keyOf({ ...target, storage: "buffer", tiled: true }), /^buffer tiled conv2d forward P4,KH3,KW3,S1 /);
});

Deno.test("a plan takes the choice of its key if the op still lists it, and records which it took", () => {
  const of = (tuned: TunedKernels) => {
    const selector = new TunedSelector(tuned);
    const { dispatches } = plan({ outputs: largestOf() }, { ...target, selector });
    return [dispatches[0]!.program.kernel.constants!["N"], Object.keys(selector.used)];
  };
  assert.deepEqual(of({}), [500, []]);
  assert.deepEqual(of(fast), [1, [KEY]]);
  assert.deepEqual(of({ [KEY]: { ...fast[KEY]!, choice: {} } }), [500, []]);
  assert.deepEqual(of({ [KEY]: { ...fast[KEY]!, choice: { N: 3 } } }), [500, []]);
  assert.deepEqual(of({ [KEY.replace("texture", "buffer")]: fast[KEY]! }), [500, []]);
});

Deno.test("what is tuned is in the order of its work, and equal kernels are one", () => {
  const graph = new Graph();
  const maps = (n: number) => graph.input(`x${n}`, [n, 16, 16, 8]);
  const small = conv2d(maps(3), graph.parameter("f", [3, 3, 8, 8]), { padding: 1 });
  const other = conv2d(maps(4), graph.parameter("g", [3, 3, 8, 8]), { padding: 1 });
  const large = conv2d(maps(8), graph.parameter("h", [5, 5, 8, 8]), { padding: 2 });
  const found = tunables([{ fetches: { outputs: { small, other, large } }, times: 2 }], target);
  assert.deepEqual(found.map(({ node }) => node.inputs[0]!.shape[0]), [8, 4]);
  const macs = 16 * 16 * 8 * 8;
  assert.deepEqual(found.map(({ work }) => work), [2 * 2 * 8 * 25 * macs, 2 * 2 * 7 * 9 * macs]);
  assert.equal(mostOf(found, 0.5).length, 1);
  assert.equal(mostOf(found, 1).length, 2);
});

Deno.test("a file of tuned kernels is refused if it is damaged or another adapter's", async () => {
  await inFolder((dir) => {
    const path = tuningFile(dir, "My GPU (x) deno 1");
    assert.equal(path, `${dir}/.tuning/my-gpu-x-deno-1.json`);
    assert.deepEqual(readTuned(path, "a"), {});
    writeTuned(path, "a", fast);
    assert.deepEqual(readTuned(path, "a"), fast);
    const key = "texture conv2d forward f32[4,8] frozen f32[8,8] f32[4,8]";
    writeTuned(path, "a", { [key.replace("frozen", "lasting")]: fast[KEY]! });
    assert.deepEqual(Object.keys(readTuned(path, "a")), [key], "frozen inputs as earlier versions wrote them");
    const said = (text: string) => {
      Deno.writeTextFileSync(path, text);
      try {
        readTuned(path, "a");
        assert.fail(`was read: ${text}`);
      } catch (error) {
        return (error as Error).message.replace(path, "FILE");
      }
    };
    assert.equal(said("{"), "Cannot use the tuned kernels of FILE as it is no JSON");
    assert.match(said("[]"), /^Cannot use the tuned kernels of FILE: at "": .*expected object/);
    assert.match(
      said('{"adapter":"a","tuned":{"k":{"choice":{"P":"4"}}}}'),
      /at "tuned\.k\.choice\.P": .*expected number/,
    );
    assert.equal(
      said('{"adapter":"b","tuned":{}}'),
      'Cannot use the tuned kernels of FILE as they are of adapter "b", this one is "a"',
    );
    return Promise.resolve();
  });
});

gpuTest("the fastest candidate is chosen; wrong ones and those that do not compile are left out", async (device) => {
  using _times = timesOf(byCount);
  const notes: string[] = [];
  const [kernel] = tunables([{ fetches: { outputs: largestOf() }, times: 1 }], device);
  const { choice, gflops, default_gflops } = await new Tuner(device, (line) => notes.push(line)).tune(kernel!);
  assert.deepEqual(choice, { N: 1 });
  assert.equal(gflops, 500 * default_gflops);
  assert.equal(notes.length, 2);
  assert.match(notes[0]!, /^largest \[30, 64\]: BAD=1 is left out: .*nothing/);
  assert.match(notes[1]!, /^largest \[30, 64\]: OFF=1 is left out: its result is off by/);
  device.check();
});

gpuTest("a candidate that saves less than 5 % of the time, or that only once, is not chosen", async (device) => {
  const [kernel] = tunables([{ fetches: { outputs: largestOf() }, times: 1 }], device);
  const chosen = async (time: (candidate: Candidate) => number) => {
    using _times = timesOf(time);
    return (await new Tuner(device, () => {}).tune(kernel!)).choice;
  };
  assert.deepEqual(await chosen(({ N }) => N ? 94 : 100), { N: 1 });
  assert.deepEqual(await chosen(({ N }) => N ? 96 : 100), {});
  let timed = 0;
  // The first comparison takes three pairs of times, and one more time of the candidate.
  assert.deepEqual(await chosen(({ N }) => N && timed++ < 4 ? 10 : 100), {});
  assert.ok(timed > 4);
});

gpuTest("a time is positive and that of a run", async (device) => {
  const [kernel] = tunables([{ fetches: { outputs: largestOf() }, times: 1 }], device);
  using benchmark = new KernelBenchmark(device, kernel!);
  using run = new CandidateRun(benchmark, {});
  await run.results();
  const start = performance.now();
  const ms = await run.time(4);
  assert.ok(ms > 0 && 4 * ms <= performance.now() - start, `${ms}`);
  assert.ok(Number.isInteger(await run.batchSize()));
});

gpuTest("tuning keeps each result at once, goes on where it stopped, and replaces a damaged file", async (device) => {
  using _times = timesOf(byCount);
  await inFolder(async (dir) => {
    const path = `${dir}/tuned.json`;
    Deno.writeTextFileSync(path, "{");
    const [small, large] = [SHAPE, [100, 64]].map((shape) =>
      tunables([{ fetches: { outputs: largestOf(shape) }, times: 1 }], device)[0]!
    );
    const notes: string[] = [];
    const note = (line: string) => void notes.push(line);
    const stop = new AbortController();
    await assert.rejects(async () => {
      for await (const { kernel } of tuneAll(device, [small!, large!], { path, signal: stop.signal, note })) {
        assert.equal(kernel, small);
        stop.abort();
      }
    }, { name: "AbortError" });
    assert.equal(notes[0], `Cannot use the tuned kernels of ${path} as it is no JSON; it is written anew`);
    const kept = readTuned(path, device.name);
    assert.deepEqual(Object.keys(kept), [small!.key]);
    const known: boolean[] = [];
    for await (const one of tuneAll(device, [small!, large!], { path, note })) known.push(one.known);
    assert.deepEqual(known, [true, false]);
    assert.deepEqual(readTuned(path, device.name)[small!.key], kept[small!.key]);
    // A choice that the op does not list any more is measured anew.
    writeTuned(path, device.name, { [small!.key]: { ...kept[small!.key]!, choice: { N: 3 } } });
    for await (const one of tuneAll(device, [small!], { path, note })) known.push(one.known);
    assert.deepEqual(known, [true, false, false]);
  });
});

/** Takes one kernel in two steps with a checkpoint between them, and reports which it was. */
const loop = stage({
  id: "fake/loop",
  doc: "Runs a kernel.",
  version: 1,
  inputs: {},
  output: "table",
  options: z.object({ stop: z.boolean().optional().describe("Stops at its first step") }),
  cost: (_options, _inputs, onPlan) => {
    onPlan({ outputs: largestOf() }, target);
    return { steps: 2 };
  },
  async run(ctx, _inputs, { stop }) {
    const device = await ctx.device();
    const executable = new Executable(device, { outputs: largestOf() });
    ctx.summary({ count: countOf(executable)! });
    executable.destroy();
    const checkpoint = `${ctx.work}/step`;
    const first = await Deno.stat(checkpoint).then(() => false, () => true);
    await Deno.writeTextFile(checkpoint, "1");
    if (stop && first) throw new RangeError("Cannot go on");
  },
});

const registry: Registry = { "fake/loop": () => Promise.resolve(loop as AnyStage) };

gpuTest(
  "run takes the kernels that were tuned, keeps them when it goes on, and replays those of a manifest",
  async (device) => {
    if (device.storage !== "texture") return;
    using _times = timesOf(byCount);
    await inFolder(async (dir) => {
      const root = `${dir}/runs`;
      const path = tuningFile(root, device.name);
      const write = (name: string, text: string) => Deno.writeTextFileSync(`${dir}/${name}.yaml`, text);
      const run = async (name: string, tune?: string) => {
        const pipeline = await readPipeline(`${dir}/${name}.yaml`, registry);
        const openDevice = () => Promise.resolve({ ...device, destroy() {} });
        await runPipeline(pipeline, { root, reporter: silent, openDevice, tune });
        const { tuned, summary, log } = readManifest(`${root}/${name}/a`)!;
        return { tuned: tuned && Object.keys(tuned), count: summary[0]!["count"], log };
      };
      for (const name of ["off", "damaged", "cached", "again", "measure"]) {
        write(name, "stages:\n  a: { uses: fake/loop }\n");
      }
      for (const name of ["stop", "stop_off"]) write(name, "stages:\n  a: { uses: fake/loop, with: { stop: true } }\n");

      await assert.rejects(run("stop_off"), StageError);
      Deno.mkdirSync(`${root}/.tuning`);
      Deno.writeTextFileSync(path, "{}");
      const damaged = await run("damaged", "cached");
      assert.equal(damaged.count, 500);
      assert.match(damaged.log[0]!, /^Cannot use the tuned kernels of .* hint: deno task tune writes it anew$/);

      writeTuned(path, device.name, fast);
      assert.deepEqual(await run("off"), { tuned: undefined, count: 500, log: [] });
      assert.deepEqual(await run("cached", "cached"), { tuned: [KEY], count: 1, log: [] });
      await assert.rejects(run("stop", "cached"), StageError);
      Deno.removeSync(path);
      assert.deepEqual(await run("stop", "cached"), { tuned: [KEY], count: 1, log: [] });
      assert.deepEqual(await run("again", `${root}/cached/a/manifest.json`), { tuned: [KEY], count: 1, log: [] });

      const { tuned, count, log } = await run("measure", "measure");
      assert.deepEqual([tuned, count, log.at(-1)], [[KEY], 1, "tuned 1 kernel"]);
      assert.deepEqual(Object.keys(readTuned(path, device.name)), [KEY]);
      assert.equal((await run("stop_off", "cached")).count, 500);
    });
  },
);

Deno.test("wrong input of tune and of run --tune is reported, with exit code 2", async () => {
  await inFolder(async (dir) => {
    const file = `${dir}/a.yaml`;
    await Deno.writeTextFile(file, "stages:\n  a: { uses: fake/loop }\n");
    const refused = async (args: string[], message: RegExp) => {
      const { code, notes } = await runCommand(args, registry);
      assert.match(notes, message);
      assert.equal(code, 2);
    };
    await refused(["tune", file, "--percent", "many"], /'many' is invalid. It must be a number over 0, up to 100/);
    await refused(["tune", file, "--only", "b"], /^Cannot tune for stage "b" as .* has no such stage, hint: .*"?a"?/);
    await refused(["tune", file, file], /Expected 1 argument but got 2/);
    await refused(["tune", file, "--agian"], /--agian.*--again/);
    await refused(["tune", `${dir}/b.yaml`], /b\.yaml/);
    await refused(["run", file, "--tune=fast"], /fast/);
  });
});
