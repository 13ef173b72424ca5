/**
 * The weights beside the browser page: a script that sets a global value, as a page that is opened as a file may load
 * scripts, and no other files.
 *
 * @module
 */
import type { DetectorConfig } from "../../models/detectors/registry.ts";
import type { FinderConfig } from "../../models/finder/network.ts";
import type { HostTensors } from "../../models/io/params.ts";

/** A network and its weights. */
export interface PackedNetwork<C> {
  /** Its configuration. */
  readonly config: C;
  /** Name and shape of each tensor, in the order of `data`. */
  readonly tensors: readonly (readonly [name: string, shape: readonly number[]])[];
  /** Element type of `data`: f16 where that changes no element. */
  readonly dtype: "f16" | "f32";
  /** All elements one after the other, base64. */
  readonly data: string;
}

/** Content of the script. */
export interface PackedWeights {
  /** Finds the faces. */
  readonly finder: PackedNetwork<FinderConfig>;
  /** Finds their landmarks. */
  readonly detector: PackedNetwork<DetectorConfig>;
}

/** Name of the global value. */
export const GLOBAL = "facewrightWeights";

/** Packs a network. */
export function pack<C>({ config, tensors }: { config: C; tensors: HostTensors }): PackedNetwork<C> {
  const list = [...tensors];
  const all = new Float32Array(list.reduce((sum, [, { data }]) => sum + data.length, 0));
  let at = 0;
  for (const [, { data }] of list) {
    all.set(data, at);
    at += data.length;
  }
  const halves = new Float16Array(all);
  const isExact = all.every((value, k) => value === halves[k]);
  return {
    config,
    tensors: list.map(([name, { shape }]) => [name, shape]),
    dtype: isExact ? "f16" : "f32",
    data: new Uint8Array((isExact ? halves : all).buffer).toBase64(),
  };
}

/** Unpacks a network's tensors. */
export function unpack({ tensors, dtype, data }: PackedNetwork<unknown>): HostTensors {
  const { buffer } = Uint8Array.fromBase64(data);
  const all = dtype === "f16" ? new Float32Array(new Float16Array(buffer)) : new Float32Array(buffer);
  let at = 0;
  return new Map(tensors.map(([name, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    at += count;
    return [name, { shape: [...shape], data: all.slice(at - count, at) }];
  }));
}

/** The script. */
export function weightsScript(weights: PackedWeights): string {
  return `globalThis.${GLOBAL} = ${JSON.stringify(weights)};\n`;
}
