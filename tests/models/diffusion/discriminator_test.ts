import assert from "node:assert/strict";
import { adversarialLoss, discriminate, hingeLoss, leastSide } from "../../../models/diffusion/discriminator.ts";
import { createParameters, initialise, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { gradients } from "../../../ops/autodiff.ts";
import { conv2d } from "../../../ops/conv2d.ts";
import { affine } from "../../../ops/affine.ts";
import { mse } from "../../../ops/mse.ts";
import { mean } from "../../../ops/sum.ts";
import { Graph, type Value } from "../../../engine/graph.ts";
import { Executable } from "../../../engine/executable.ts";
import { Random } from "../../../engine/rng.ts";
import { difference, evaluate } from "../../evaluate.ts";
import { gpuTest } from "../../gpu.ts";

const config = { channels: 8, layers: 2 };

Deno.test("discriminate() has a logit for each patch, and the layers of the original", () => {
  const graph = new Graph(), specs = new Map<string, ParameterSpec>();
  const scope = new Scope(graph, specs, "discriminator/");
  const { shape } = discriminate(scope, { channels: 64, layers: 3 }, graph.input("x", [2, 256, 256, 3]));
  assert.deepEqual(shape, [2, 30, 30, 1]);
  const filters = [...specs.values()].filter(({ layout }) => layout === "conv").map(({ shape }) => shape);
  assert.deepEqual(filters, [[4, 4, 3, 64], [4, 4, 64, 128], [4, 4, 128, 256], [4, 4, 256, 512], [4, 4, 512, 1]]);
  const least = leastSide(config);
  assert.deepEqual(discriminate(scope.at("least"), config, graph.input("y", [1, least, least, 3])).shape, [1, 1, 1, 1]);
  assert.throws(
    () => discriminate(scope.at("small"), config, graph.input("z", [1, 8, 8, 3])),
    /Cannot tell images of 8 pixels apart with 2 layers: 12 are expected/,
  );
});

Deno.test("hingeLoss() is nothing for logits beyond 1 on the right side", () => {
  const graph = new Graph();
  const of = (onTrue: number[], onFake: number[]) => {
    const [a, b] = [onTrue, onFake].map((list) => graph.constant(list, [list.length])) as [Value, Value];
    return evaluate(hingeLoss(a, b), new Map())[0];
  };
  assert.equal(of([1, 3], [-1, -2]), 0);
  assert.equal(of([0, 0.5], [0, -3]), (0.75 + 0.5) / 2);
});

/** An autoencoder of two convolutions, a discriminator, and the loss of both. */
function training() {
  const graph = new Graph(), specs = new Map<string, ParameterSpec>();
  const x = graph.input("x", [2, 16, 16, 3]);
  const [first, last] = [graph.input("first", [3, 3, 3, 4]), graph.input("last", [3, 3, 4, 3])];
  const y = conv2d(conv2d(x, first, { padding: 1 }), last, { padding: 1 });
  const reconstruction = mse(y, x);
  const logits = (images: Value) => discriminate(new Scope(graph, specs, "discriminator/"), config, images);
  const started = graph.input("started", [1]);
  const result = adversarialLoss({ x, y, reconstruction, last, logits, weight: 0.5, started });
  const random = new Random(7, "test");
  const numbers = (count: number, scale = 1) => random.fillNormal(new Float32Array(count)).map((v) => scale * v);
  const own = new Map([["first", numbers(108, 0.3)], ["last", numbers(108, 0.3)]]);
  const tensors = initialise(specs, 5);
  // With the usual first values, logits are within the hinges' range; larger ones leave it.
  for (const { data } of tensors.values()) data.forEach((v, k) => data[k] = 4 * v);
  const leaves = (start: number) =>
    new Map<string, ArrayLike<number>>([
      ["x", numbersOfImages],
      ["started", [start]],
      ...own,
      ...[...tensors].map(([name, { data }]) => [name, data] as const),
    ]);
  const numbersOfImages = numbers(2 * 16 * 16 * 3);
  return { graph, specs, result, reconstruction, parts: { first, last }, tensors, own, leaves };
}

gpuTest("adversarialLoss() has the gradients of both networks, and the adaptive weight, as in f64", async (device) => {
  const { graph, specs, result, reconstruction, parts, tensors, own, leaves } = training();
  const { loss, discriminator, generator, balance } = result;
  const critic = "discriminator/layers.0.conv.weight";
  const wrt = [parts.first, parts.last, graph.parameters.get(critic)!];
  const [first, last, verdict] = gradients(loss, wrt);
  const parameters = createParameters(device, specs, tensors);
  using executable = new Executable(
    device,
    { outputs: { loss, balance, first: first!, last: last!, verdict: verdict! } },
    parameters,
  );
  const near = (got: number, want: number, scale: number, what: string) =>
    assert.ok(Math.abs(got - want) <= 2e-3 * scale, `${what}: ${got}, expected ${want}`);
  for (const start of [0, 1]) {
    const given = leaves(start);
    executable.run({ x: given.get("x")!, started: [start], ...Object.fromEntries(own) });
    const of = (value: Value) => evaluate(value, given)[0]!;
    // The weight: a ratio of norms, each by central differences over all of the last layer.
    const norm = (scalar: Value) =>
      Math.hypot(...Array.from({ length: 108 }, (_, k) => difference(scalar, given, "last", k)));
    // generator is a function of constants; its slope is that of the same logits of y.

    const weight = (await executable.read("balance"))[0]!;
    if (start === 0) assert.equal(weight, 0);
    else {
      const y = conv2d(conv2d(graph.input("x", [2, 16, 16, 3]), parts.first, { padding: 1 }), parts.last, {
        padding: 1,
      });
      const verdictOf = discriminate(new Scope(graph, new Map(), "discriminator/"), config, y);
      const push = affine(mean(verdictOf), -1);
      near(weight, 0.5 * norm(reconstruction) / (norm(push) + 1e-4), weight, "weight");
      for (const name of ["first", "last"] as const) {
        const got = await executable.read(name);
        const largest = got.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
        for (const element of [0, 50, 107]) {
          const slope = difference(reconstruction, given, name, element) +
            weight * difference(push, given, name, element);
          near(got[element]!, slope, largest, `${name} ${element}`);
        }
      }
    }
    near((await executable.read("loss"))[0]!, of(reconstruction) + weight * of(generator), of(reconstruction), "loss");
    if (start === 0) {
      const got = await executable.read("last");
      near(got[3]!, difference(reconstruction, given, "last", 3), Math.abs(got[3]!), "without a discriminator");
    }
    const got = await executable.read("verdict");
    const largest = got.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    assert.equal(largest > 0, start === 1);
    for (const element of [0, 333, 2000]) {
      near(
        got[element]!,
        start * difference(discriminator, given, critic, element),
        largest || 1,
        `verdict ${element}`,
      );
    }
  }
  for (const tensor of parameters.values()) tensor.destroy();
});
