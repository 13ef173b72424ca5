/**
 * Cases on a device: made-up data, and times as shares of the ceilings.
 *
 * @module
 */

import { type HostTensors, initialise } from "../models/io/params.ts";
import { itemAt } from "../engine/lookup.ts";
import type { Device } from "../engine/device.ts";
import { elements, texels, topological } from "../engine/graph.ts";
import type { Plan } from "../engine/plan/records.ts";
import { Random } from "../engine/rng.ts";
import { Executable } from "../engine/executable.ts";
import type { TensorData } from "../formats/safetensors.ts";
import { Tensor } from "../engine/tensor.ts";
import { arithmetic, type Case } from "./cases.ts";
import { type Care, measure, measureCeiling, settled, type Timing } from "./measure.ts";
import type { Workload } from "./steps.ts";

/** A row of the table. */
export interface Figure extends Timing {
  readonly case: string;
  /** Floating point operations a second, in thousands of millions. */
  readonly gflops: number;
  /** Bytes that dispatches read and write a second, in thousands of millions. */
  readonly gbs: number;
  /** The ceiling that applies (`bound`), measured just before and after, and the share of it that was reached. */
  readonly ceiling: number;
  readonly share: number;
  readonly bound: Case["bound"];
  readonly dispatches: number;
  /** Least time that a run took of JavaScript and of encoding its commands, microseconds a dispatch. */
  readonly host_us: number;
  /** Memory of the device that it takes, and what the plan said. */
  readonly bytes: number;
  readonly planned_bytes: number;
}

/** Effort in measuring the ceilings of a case. */
const BRIEF = { runs: 3, least_ms: 50 };

/** Number of runs; their least host time is taken. */
const HOST_RUNS = 9;
/** No more of them after so long. */
const HOST_MS = 2000;

/** A workload on a device, with made-up data. */
export class Loaded {
  /** The planned workload. */
  readonly executable: Executable;
  /** Values of the inputs, which are on the device already. */
  readonly inputs: Readonly<Record<string, TensorData>>;
  /** First values of the parameters of networks. */
  readonly weights: HostTensors;
  readonly #parameters: ReadonlyMap<string, Tensor>;

  /** Makes the parameters and inputs of a workload. */
  constructor(device: Device, { fetches, specs = new Map(), inputs = {} }: Workload) {
    const random = new Random(0, "bench");
    const wanted = [...Object.values(fetches.outputs), ...(fetches.updates ?? []).flat()];
    const used = topological(wanted).flatMap(({ leaf, outputs }) => leaf?.kind === "parameter" ? outputs : []);
    this.weights = initialise(specs, 0);
    this.#parameters = new Map(used.map(({ shape, node: { leaf } }) => {
      const { name } = leaf as { name: string };
      return [name, new Tensor(device, shape, this.weights.get(name)?.data)];
    }));
    this.executable = new Executable(device, fetches, this.#parameters);
    this.inputs = Object.fromEntries([...itemAt(wanted, 0, "values").graph.inputs].map(([name, { shape }]) => {
      const data = inputs[name] ?? Float32Array.from({ length: elements(shape) }, () => 2 * random.uniform() - 1);
      return [name, { shape: [...shape], data: Float32Array.from(data) }];
    }));
    this.executable.run(Object.fromEntries(Object.entries(this.inputs).map(([name, { data }]) => [name, data])));
  }

  /** Frees everything. */
  destroy(): void {
    this.executable.destroy();
    for (const tensor of this.#parameters.values()) tensor.destroy();
  }
}

/** Bytes that the dispatches of a plan read and write, each tensor once. */
function traffic({ dispatches }: Plan): number {
  const tensors = dispatches.flatMap(({ reads, writes }) => [...reads, ...writes]);
  return tensors.reduce((total, { shape }) => total + 16 * texels(shape), 0);
}

/** Times a case against its ceiling: what a machine can do changes while cases are timed. */
export async function figure(device: Device, which: Case, care?: Care): Promise<Figure> {
  const workload = await which.workload();
  const before = device.memory.live;
  const loaded = new Loaded(device, workload);
  const bytes = device.memory.live - before;
  const { executable } = loaded;
  const wait = settled(device);
  await wait();
  const firstCeiling = await measureCeiling(device, which.bound, BRIEF);
  const timing = await measure(() => executable.run(), wait, { ...care, warm: true });
  const lastCeiling = await measureCeiling(device, which.bound, BRIEF);
  let host_ms = Infinity;
  const began = performance.now();
  for (let k = 0; k < HOST_RUNS && performance.now() - began < HOST_MS; k++) {
    const start = performance.now();
    executable.run();
    host_ms = Math.min(host_ms, performance.now() - start);
    await wait();
  }
  const { plan } = executable;
  const gflops = (which.flops ?? (arithmetic(workload.fetches) || plan.flops)) / timing.ms / 1e6;
  const gbs = traffic(plan) / timing.ms / 1e6;
  const ceiling = (firstCeiling + lastCeiling) / 2;
  loaded.destroy();
  return {
    case: which.name,
    ...timing,
    gflops,
    gbs,
    ceiling,
    share: (which.bound === "copy" ? gbs : gflops) / ceiling,
    bound: which.bound,
    dispatches: plan.dispatches.length,
    host_us: 1000 * host_ms / plan.dispatches.length,
    bytes,
    planned_bytes: plan.bytes.parameters + plan.bytes.given + plan.bytes.pool,
  };
}
