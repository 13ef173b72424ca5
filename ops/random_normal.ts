import type { Op, Value } from "../engine/graph.ts";
import philox from "../shaders/_philox.wgsl" with { type: "text" };
import sinCos from "../shaders/_sin_cos.wgsl" with { type: "text" };
import source from "../shaders/random_normal.wgsl" with { type: "text" };
import { draw, type RandomAttrs, randomOp, type RandomOptions } from "./_random.ts";

export { randomStep, stepWords } from "./_random.ts";

/** Two normal numbers from two uniform ones. Source: Box & Muller 1958. */
function normalPair(u: number, v: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(1 - u));
  return [radius * Math.cos(2 * Math.PI * v), radius * Math.sin(2 * Math.PI * v)];
}

/** Standard normal random numbers, those of `Random.fillNormal` up to rounding (2e-6). */
export const randomNormalOp: Op<RandomAttrs, 1> = randomOp(
  "random_normal",
  sinCos + philox + source,
  ([a, b, c, d]) => [...normalPair(a, b), ...normalPair(c, d)],
);

/**
 * Standard normal random numbers, those of `Random.fillNormal` up to rounding (2e-6).
 *
 * @param step `[4]`, usually `randomStep(graph)`.
 * @param options Shape of the result, seed and stream.
 */
export function randomNormal(step: Value, options: RandomOptions): Value {
  return draw(randomNormalOp, step, options);
}
