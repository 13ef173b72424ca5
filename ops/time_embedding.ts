import { apply, extent, type Op, showShape, texels, type Value } from "../engine/graph.ts";
import sinCos from "../shaders/_sin_cos.wgsl" with { type: "text" };
import source from "../shaders/time_embedding.wgsl" with { type: "text" };
import { reader, tabulate } from "./_reference.ts";

/** Attributes of {@linkcode timeEmbeddingOp}: cosines before sines. */
export type TimeEmbeddingAttrs = { readonly flip: boolean };

/** Cosines and sines of `t[n] f[i]`, right to 1e-6 for angles up to 10,000 rad. */
export const timeEmbeddingOp: Op<TimeEmbeddingAttrs, 2> = {
  name: "time_embedding",
  bound: "memory",
  shapes: ([t, f]) => {
    if (t.length !== 1 || f.length !== 1) {
      throw new TypeError(`Cannot embed times of shape ${showShape(t)} with frequencies of shape ${showShape(f)}`);
    }
    return [[extent(t, 0), 2 * extent(f, 0)]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [, f], outputs: [y], attrs: { flip } }) => ({
      source: sinCos + source,
      label: "shaders/time_embedding.wgsl",
      entry: "forward",
      reads: ["t", "f"],
      writes: ["y"],
      ints: { half: extent(f, 0), D4: Math.ceil(extent(y, 1) / 4), flip: Number(flip), mask: -1 },
      threads: texels(y.shape),
    }),
  },
  reference([t, f], { flip }) {
    const half = extent(f, 0);
    const [T, F] = [reader(t), reader(f)];
    return [
      tabulate([extent(t, 0), 2 * half], (n, e) => {
        const angle = Math.fround(T(n) * F(e % half));
        return e < half === flip ? Math.cos(angle) : Math.sin(angle);
      }),
    ];
  },
};

/**
 * Sinusoidal embedding of time steps: angles `t exp(-ln(period) i / (half - shift))`.
 *
 * The angles are rounded to f32 in the steps PyTorch takes, so that large ones agree with weights trained there.
 *
 * @param t Time steps, `[N]`.
 * @param dim Even width of the embedding.
 * @param options `flip_sin_to_cos` puts the cosines first, `freq_shift` is the shift; the defaults are Stable Diffusion's.
 * @returns `[N, dim]`.
 *
 * Source: diffusers, `get_timestep_embedding`; arXiv 1706.03762, section 3.5.
 */
export function timeEmbedding(
  t: Value,
  dim: number,
  { flip_sin_to_cos = true, freq_shift = 0, max_period = 10000 }: {
    flip_sin_to_cos?: boolean;
    freq_shift?: number;
    max_period?: number;
  } = {},
): Value {
  if (dim % 2) throw new RangeError(`Cannot make a time embedding ${dim} wide: the width must be even`);
  const half = dim / 2;
  const rate = Math.fround(-Math.log(max_period));
  const frequencies = Array.from(
    { length: half },
    (_, i) => Math.exp(Math.fround(Math.fround(rate * i) / (half - freq_shift))),
  );
  return apply(timeEmbeddingOp, [t, t.graph.constant(frequencies, [half])], { flip: flip_sin_to_cos });
}
