/**
 * Shared parts of the random ops: counters and keys of engine/rng.ts on the GPU.
 *
 * @module
 */

import { apply, elements, type Graph, type Op, texels, type Value } from "../engine/graph.ts";
import { philox4x32, streamKey } from "../engine/rng.ts";
import { reader } from "./_reference.ts";

/** Attributes of the random ops: shape of the result and key of the stream. */
export type RandomAttrs = { readonly shape: readonly number[]; readonly key: readonly [number, number] };

/** A stream of random numbers and the shape of the draw. */
export interface RandomOptions {
  readonly shape: readonly number[];
  /** Seed of the run. */
  readonly seed: number | bigint;
  /** Name of the stream, as for `Random`. */
  readonly stream: string;
}

/** An op that draws; `block` makes four elements of four uniforms, as the shader's `block` does. */
export function randomOp(
  name: string,
  source: string,
  block: (u: readonly [number, number, number, number]) => number[],
): Op<RandomAttrs, 1> {
  return {
    name,
    bound: "compute",
    shapes: ([step], { shape }) => {
      if (elements(step) !== 4) throw new TypeError(`Cannot draw ${name}: the step must be [4], it is [${step}]`);
      return [shape];
    },
    lowering: {
      kind: "kernel",
      kernel: ({ attrs: { shape, key } }) => {
        const C = shape.at(-1) ?? 1;
        return {
          source,
          label: `shaders/${name}.wgsl`,
          entry: "forward",
          reads: ["step"],
          writes: ["y"],
          ints: { C, C4: Math.ceil(C / 4), k0: key[0], k1: key[1] },
          threads: texels(shape),
        };
      },
    },
    reference([step], { shape, key }) {
      const S = reader(step);
      const [low, high] = [S(0) + S(1) * 65536, S(2) + S(3) * 65536];
      const data = new Float64Array(elements(shape));
      for (let i = 0; i < data.length; i += 4) {
        const words = philox4x32([i / 4, low, high, 0], key);
        const unit = (word = 0) => (word >>> 8) / 2 ** 24;
        const [a, b, c, d] = words;
        const four = block([unit(a), unit(b), unit(c), unit(d)]);
        data.set(four.slice(0, data.length - i), i);
      }
      return [{ shape, data }];
    },
  };
}

/** Draws for the step that is the value of `step`. */
export function draw(op: Op<RandomAttrs, 1>, step: Value, { shape, seed, stream }: RandomOptions): Value {
  return apply(op, [step], { shape, key: streamKey(seed, stream) });
}

/** The graph input `random.step`, which the random ops take; its value is {@linkcode stepWords} of the step. */
export function randomStep(graph: Graph): Value {
  return graph.input("random.step", [4]);
}

/** The number of a step as 16-bit quarters, lowest first, which f32 holds exactly. */
export function stepWords(step: number): Float32Array {
  return Float32Array.from({ length: 4 }, (_, k) => Math.floor(step / 65536 ** k) % 65536);
}
