import type { Op, Value } from "../engine/graph.ts";
import philox from "../shaders/_philox.wgsl" with { type: "text" };
import source from "../shaders/random_uniform.wgsl" with { type: "text" };
import { draw, type RandomAttrs, randomOp, type RandomOptions } from "./_random.ts";

export { randomStep, stepWords } from "./_random.ts";

/** Uniform random numbers of [0, 1), the same as `Random.fillUniform` draws. */
export const randomUniformOp: Op<RandomAttrs, 1> = randomOp("random_uniform", philox + source, (u) => [...u]);

/**
 * Uniform random numbers of [0, 1), the same as `Random.fillUniform` draws.
 *
 * @param step `[4]`, usually `randomStep(graph)`.
 * @param options Shape of the result, seed and stream.
 */
export function randomUniform(step: Value, options: RandomOptions): Value {
  return draw(randomUniformOp, step, options);
}
