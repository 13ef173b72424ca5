import { OPTIMIZERS } from "../../models/optimizers.ts";
import assert from "node:assert";
import { createParameters, initialise, type ParameterSpec, Scope } from "../../models/io/params.ts";
import { budgetOf, NonFiniteLossError, Trainer, type TrainerSpec } from "../../models/trainer.ts";
import { add } from "../../ops/add.ts";
import { conv2d } from "../../ops/conv2d.ts";
import { log } from "../../ops/log.ts";
import { mul } from "../../ops/mul.ts";
import { silu } from "../../ops/silu.ts";
import { sub } from "../../ops/sub.ts";
import { sqrt } from "../../ops/sqrt.ts";
import { mean, sum } from "../../ops/sum.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { type Precision, PRECISIONS } from "../../engine/plan/precision.ts";
import { readAll } from "../../engine/tensor.ts";
import { spreadNumbers } from "../check_op.ts";
import { gpuTest, testDevice, TILED } from "../gpu.ts";

/** Learns to turn a picture into its negative with two convolutions. */
function makeTrainer(more: Partial<TrainerSpec> = {}, device = testDevice()) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = new Scope(graph, specs, "net/");
  const x = graph.input("x", [2, 8, 8, 3]);
  const one = scope.conv("one", 3, 3, 3, 8);
  const two = scope.conv("two", 3, 3, 8, 3);
  const hidden = silu(conv2d(x, one.weight, { padding: 1, bias: one.bias! }));
  const difference = sub(conv2d(hidden, two.weight, { padding: 1, bias: two.bias! }), graph.input("y", [2, 8, 8, 3]));
  const parameters = createParameters(device, specs, initialise(specs, 3));
  const spec = {
    loss: mean(mul(difference, difference)),
    trainable: specs.keys(),
    clip_norm: 1,
    weight_decay: 0.01,
    ema_decay: 0.9,
    ...more,
  };
  return { device, trainer: new Trainer(device, spec, parameters) };
}

function batch(step: number) {
  const x = Float32Array.from({ length: 2 * 8 * 8 * 3 }, (_, k) => spreadNumbers(step, k));
  return { x, y: x.map((v) => -v) };
}

async function bytes(trainer: Trainer): Promise<string> {
  const tensors = [...trainer.parameters].sort(([a], [b]) => a < b ? -1 : 1);
  const data = await readAll(tensors.map(([, t]) => t));
  return tensors.map(([name, t]) => name + [...new Uint32Array(data.get(t)!.buffer)].join()).join("\n");
}

gpuTest("Trainer learns, keeps its memory flat and resumes to the same bytes", async () => {
  const dir = await Deno.makeTempDir();
  const { device, trainer } = makeTrainer();
  await trainer.start();
  const losses: number[] = [];
  let live = 0;
  for (let k = 0; k < 100; k++) {
    losses.push(await trainer.step(batch(k), 0.02));
    if (k === 9) live = device.memory.live;
    if (k === 49) await trainer.save(dir);
  }
  assert.equal(device.memory.live, live, "live bytes after step 10 and 100");
  assert.ok(losses[99]! < losses[0]! / 4, `loss went from ${losses[0]} to ${losses[99]}`);

  const { trainer: second } = makeTrainer();
  assert.ok(await second.resume(dir));
  assert.equal(second.steps, 50);
  const again: number[] = [];
  for (let k = 50; k < 100; k++) again.push(await second.step(batch(k), 0.02));
  assert.deepEqual(again, losses.slice(50));
  assert.equal(await bytes(second), await bytes(trainer));
  await Deno.remove(dir, { recursive: true });
});

gpuTest("Trainer stops at a loss that is not finite", async () => {
  const { trainer } = makeTrainer();
  const bad = { ...batch(0), y: new Float32Array(2 * 8 * 8 * 3).fill(Infinity) };
  await assert.rejects(() => trainer.step(bad, 0.01), NonFiniteLossError);
});

gpuTest(
  "Trainer takes the mean gradient of several batches, with any optimiser, and resumes to the same bytes",
  async () => {
    const dir = await Deno.makeTempDir();
    for (const optimizer of ["adam", "sgd", "rmsprop"] as const) {
      const more = { optimizer, gradient_accumulation_steps: 2 };
      const parts = (step: number) => [batch(2 * step), batch(2 * step + 1)];
      const { trainer } = makeTrainer(more);
      await trainer.start();
      const losses: number[] = [];
      for (let k = 0; k < 12; k++) {
        losses.push(await trainer.step(parts(k), 0.01));
        if (k === 5) await trainer.save(`${dir}/${optimizer}`);
      }
      assert.ok(
        losses.at(-1)! < losses[0]! * 0.95,
        `${optimizer}: the loss went from ${losses[0]} to ${losses.at(-1)}`,
      );
      const { trainer: second } = makeTrainer(more);
      // What a step left of its sum of gradients must not matter.
      await second.step(parts(3), 0.01);
      assert.ok(await second.resume(`${dir}/${optimizer}`));
      const again: number[] = [];
      for (let k = 6; k < 12; k++) again.push(await second.step(parts(k), 0.01));
      assert.deepEqual(again, losses.slice(6));
      for (const [name, tensor] of trainer.averaged()) {
        assert.deepEqual(await second.averaged().get(name)!.read(), await tensor.read());
      }
    }
    await Deno.remove(dir, { recursive: true });

    // One batch twice is one batch_size: Adam's step does not tell sum from mean, clipping would.
    const [once, twice] = [makeTrainer(), makeTrainer({ gradient_accumulation_steps: 2 })];
    const loss = await once.trainer.step(batch(0), 0.01);
    assert.equal(await twice.trainer.step([batch(0), batch(0)], 0.01), loss);
    for (const [name, tensor] of once.trainer.parameters) {
      const [a, b] = [await tensor.read(), await twice.trainer.parameters.get(name)!.read()];
      a.forEach((v, k) => assert.ok(Math.abs(v - b[k]!) < 1e-6, `${name}: ${v}, ${b[k]}`));
    }
    await assert.rejects(() => twice.trainer.step(batch(0), 0.01), /its number of batches is 1, not 2/);
  },
);

for (const [name, options] of Object.entries({ "": {}, ", in tiles": TILED })) {
  gpuTest(
    `Trainer in mixed precision learns like one in f32, and resumes to the same bytes${name}`,
    async (device) => {
      const dir = await Deno.makeTempDir();
      for (const optimizer of ["adam", "sgd", "rmsprop"] as const) {
        const losses = await Promise.all((["f32", "f16-mixed"] as const).map(async (precision) => {
          const { trainer } = makeTrainer({ optimizer, precision }, device);
          await trainer.start();
          const losses: number[] = [];
          for (let k = 0; k < 40; k++) {
            losses.push(await trainer.step(batch(k), optimizer === "sgd" ? 0.1 : 0.01));
            if (k === 29 && precision === "f16-mixed") await trainer.save(dir);
          }
          const late = losses.slice(30);
          if (precision === "f16-mixed") {
            const { trainer: second } = makeTrainer({ optimizer, precision }, device);
            assert.ok(await second.resume(dir));
            for (const [k, loss] of late.entries()) {
              assert.equal(await second.step(batch(30 + k), optimizer === "sgd" ? 0.1 : 0.01), loss);
            }
            assert.equal(await bytes(second), await bytes(trainer));
          }
          return late.reduce((a, b) => a + b) / late.length;
        }));
        const [full, mixed] = losses as [number, number];
        assert.notEqual(mixed, full);
        assert.ok(Math.abs(mixed / full - 1) < 0.01, `${optimizer}: ${mixed} in place of ${full}`);
      }
      await Deno.remove(dir, { recursive: true });
    },
    options,
  );
}

gpuTest(
  "Trainer in mixed precision leaves out a step whose gradients are beyond f16, and halves the scale",
  async () => {
    for (const optimizer of ["adam", "sgd", "rmsprop"] as const) {
      for (const gradient_accumulation_steps of [1, 2]) {
        const { trainer } = makeTrainer({ optimizer, gradient_accumulation_steps, precision: "f16-mixed" });
        const step = (x: ReturnType<typeof batch>) =>
          trainer.step(gradient_accumulation_steps === 1 ? x : [batch(9), x], 0.01);
        const scale = async () => 2 ** 16 + (await trainer.parameters.get("loss_scale/above")!.read())[0]!;
        const state = async () => {
          const kept = [...trainer.parameters].filter(([name]) => !/^(loss_scale|accumulated)\//.test(name));
          return await Promise.all(kept.map(async ([name, tensor]) => [name, [...await tensor.read()]] as const));
        };
        await trainer.start();
        await step(batch(0));
        assert.equal(await scale(), 2 ** 16);
        const before = await state();
        // The loss is finite; its gradients, times the scale, are not as f16.
        await step({ ...batch(1), y: new Float32Array(2 * 8 * 8 * 3).fill(1e6) });
        assert.deepEqual(await state(), before);
        assert.equal(await scale(), 2 ** 15);
        await step(batch(2));
        assert.notDeepEqual(await state(), before);
        assert.equal(await scale(), 2 ** 15);
      }
    }
  },
);

/** Twelve convolutions one after the other, whose gradients need what each has read. */
function makeDeepTrainer(memory?: number | string, precision?: Precision) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = new Scope(graph, specs, "net/");
  const x = graph.input("x", [2, 32, 32, 8]);
  let h = x;
  for (let k = 0; k < 12; k++) {
    const { weight, bias } = scope.conv(`layer_${k}`, 3, 3, 8, 8);
    h = silu(conv2d(h, weight, { padding: 1, bias: bias! }));
  }
  const device = testDevice();
  const parameters = createParameters(device, specs, initialise(specs, 3));
  const options = {
    trainable: specs.keys(),
    clip_norm: 1,
    weight_decay: 0.01,
    ema_decay: 0.9,
    memory_limit: memory,
    precision,
  };
  const trainer = new Trainer(device, { loss: mean(mul(h, sub(h, x))), ...options }, parameters);
  const taken = trainer.parameters.values().reduce((sum, { storage }) => sum + storage.bytes, 0);
  return { trainer, taken, specs };
}

gpuTest(
  "Trainer in less memory computes again what it would keep, with results that are the same to the bit",
  async () => {
    const whole = (trainer: Trainer) => trainer.step_plan.plan.bytes.pool + trainer.step_plan.plan.bytes.given;
    for (const precision of PRECISIONS) {
      const free = makeDeepTrainer(undefined, precision);
      const bytes_given = Math.floor(free.taken + 0.7 * whole(free.trainer));
      const tight = makeDeepTrainer(bytes_given, precision);
      assert.ok(tight.taken + whole(tight.trainer) <= bytes_given);
      assert.ok(tight.trainer.step_plan.plan.flops > free.trainer.step_plan.plan.flops);
      const x = Float32Array.from({ length: 2 * 32 * 32 * 8 }, (_, k) => spreadNumbers(0, k));
      for (let k = 0; k < 2; k++) {
        assert.equal(await tight.trainer.step({ x }, 0.02), await free.trainer.step({ x }, 0.02));
      }
      assert.equal(await bytes(tight.trainer), await bytes(free.trainer));
    }
    assert.throws(
      () => makeDeepTrainer("40kB"),
      /MemoryError: Cannot run in 40.0 kB of memory: the least found is .* [kM]B, hint: a smaller batch takes less/,
    );
  },
);

Deno.test("sizes of memory have units", () => {
  assert.equal(budgetOf(undefined, 0), undefined);
  assert.deepEqual(budgetOf("1.5 GiB", 7), { bytes: 1.5 * 2 ** 30, taken: 7 });
  assert.deepEqual(budgetOf("20MB", 0), { bytes: 2e7, taken: 0 });
  assert.throws(() => budgetOf("8 gigs", 0), /Cannot read "8 gigs" as a size of memory: write bytes, or 8GiB, with kB/);
});

/** Learns `p` by `sum(log(p x + y))` and `sum(sqrt(p x + y))`: a zero makes an infinity in the one, and in the other's gradient. */
function makeFailing(op: (x: Value) => Value, more: Partial<TrainerSpec> = {}) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const p = new Scope(graph, specs, "net/").vector("p", 4, { kind: "constant", value: 1 });
  const inside = add(mul(p, graph.input("x", [4])), graph.input("y", [4]));
  const parameters = createParameters(testDevice(), specs, initialise(specs, 0));
  const spec = {
    loss: sum(op(inside)),
    trainable: specs.keys(),
    clip_norm: 1,
    weight_decay: 0,
    ema_decay: 0.9,
    ...more,
  };
  return { trainer: new Trainer(testDevice(), spec, parameters), parameters };
}

const fine = { x: [1, 1, 1, 1], y: [1, 2, 3, 4] };
const zero = { x: [0, 1, 1, 1], y: [0, 2, 3, 4] };

/** Steps until one fails, as a training does, and locates the failure. */
async function failure(trainer: Trainer, dir: string, inputs: (step: number) => typeof fine, saveAt = Infinity) {
  const given = (step: number) => trainer.gradient_accumulation_steps === 1 ? inputs(step) : [fine, inputs(step)];
  for (let k = 0; k < 20; k++) {
    try {
      await trainer.step(given(k), 0.01);
    } catch (error) {
      assert.ok(error instanceof NonFiniteLossError);
      return await trainer.locate(error, dir, (step) => Promise.resolve({ inputs: given(step), lr: 0.01 }));
    }
    if (k + 1 === saveAt) await trainer.save(dir);
  }
  throw new Error("No step failed");
}

gpuTest("Trainer names the op, its shape and the step of the first value that is not finite", async () => {
  const dir = await Deno.makeTempDir();
  const at = (bad: number) => (step: number) => step === bad ? zero : fine;
  for (const saveAt of [Infinity, 3]) {
    for (const gradient_accumulation_steps of [1, 2]) {
      using trainer = makeFailing(log, { gradient_accumulation_steps }).trainer;
      await trainer.start();
      const error = await failure(trainer, dir, at(5), saveAt);
      assert.match(
        error.message,
        /^The loss is -Infinity in step 6: the first value that is not finite is -Infinity, made by op "log" \(fused log\), shape \[4\], in step 6, hint: lower the learning rate/,
      );
    }
  }
  // A gradient that is not finite shows in the loss of the next step.
  using trainer = makeFailing(sqrt).trainer;
  await trainer.start();
  const error = await failure(trainer, `${dir}/none`, at(5));
  assert.equal(error.step, 7);
  assert.match(
    error.message,
    /^The loss is NaN in step 7: .* is Infinity, made by op "div" \(fused div\), shape \[4\], in step 6,/,
  );
  await Deno.remove(dir, { recursive: true });
});

gpuTest("Trainer names an input that is not finite", async () => {
  using trainer = makeFailing(sqrt).trainer;
  await trainer.start();
  const error = await failure(trainer, "", (step) => step === 2 ? { ...fine, y: [1, NaN, 3, 4] } : fine);
  assert.match(error.message, /^The loss is NaN in step 3: .* is NaN, in input "y", shape \[4\], in step 3,/);
});

gpuTest("Trainer frees what it allocated when its plan does not fit", (device) => {
  const { live } = device.memory;
  assert.throws(() => makeFailing(log, { memory_limit: 1 }), { name: "MemoryError" });
  assert.equal(device.memory.live - live, 16, "the parameters that were given");
});

Deno.test("every row of OPTIMIZERS names its state and its inputs", () => {
  for (const [name, { state, updates, inputs }] of Object.entries(OPTIMIZERS)) {
    const graph = new Graph();
    const p = graph.parameter("p", [4]);
    const assigned = updates(graph, new Map([["p", p]]), [graph.input("g", [4])], { clip_norm: 1, weight_decay: 0.1 });
    const names = assigned.map(([{ node }]) => node.leaf?.kind === "parameter" ? node.leaf.name : "");
    assert.deepEqual(names.sort(), ["ema/p", "p", ...state.map((prefix) => `${prefix}/p`)].sort(), name);
    const given = inputs(3, { lr: 0.1, weight_decay: 0.1, ema_decay: 0.9 });
    for (const [input, data] of Object.entries(given)) {
      assert.equal(graph.input(input, [data.length]).shape[0], data.length, `${name}: ${input}`);
    }
  }
});
