/**
 * Times by the clock, and the ceilings that they are held against.
 *
 * @module
 */

import process from "node:process";
import { itemAt } from "../engine/lookup.ts";
import type { Device } from "../engine/device.ts";

/** Milliseconds of a run. */
export interface Timing {
  /** Median. */
  readonly ms: number;
  readonly low: number;
  readonly high: number;
  /** Processors that this process kept busy meanwhile, on average: distinguishes work from waiting on software drivers. */
  readonly cores: number;
}

/** Effort in timing. */
export interface Care {
  /** Number of timings; their median is taken. */
  readonly runs?: number;
  /** A timing spans as many runs as take so long. */
  readonly least_ms?: number;
  /** True if it was run before: shaders are compiled at their first dispatch. */
  readonly warm?: boolean;
}

/** A wait costs about 12 ms on Deno, whatever the work: a timing spans many runs. */
const LEAST_MS = 150;
const RUNS = 7;
/** Runs of this length are timed less often. */
const LONG_MS = 2000;
const LONG_RUNS = 3;

/**
 * Times what `run` does or queues.
 *
 * @param wait Resolves when all that is queued is done.
 */
export async function measure(
  run: () => void | Promise<void>,
  wait: () => Promise<unknown>,
  { runs, least_ms = LEAST_MS, warm = false }: Care = {},
): Promise<Timing> {
  const time = async (count: number) => {
    const start = performance.now();
    for (let k = 0; k < count; k++) await run();
    await wait();
    return performance.now() - start;
  };
  if (!warm) await time(1);
  // What few short runs take is mostly the wait, so the count is raised in steps, each measured.
  let [count, elapsed] = [1, await time(1)];
  while (elapsed < 0.8 * least_ms) {
    count = Math.ceil(count * Math.min(8, 1.1 * least_ms / elapsed));
    elapsed = await time(count);
  }
  const times: number[] = [];
  const wanted = runs ?? (elapsed > LONG_MS ? LONG_RUNS : RUNS);
  const [start, used] = [performance.now(), process.cpuUsage()];
  while (times.length < wanted) times.push(await time(count) / count);
  const { user, system } = process.cpuUsage(used);
  const cores = (user + system) / 1000 / (performance.now() - start);
  times.sort((a, b) => a - b);
  return {
    ms: itemAt(times, times.length >> 1, "times"),
    low: Math.min(...times),
    high: Math.max(...times),
    cores,
  };
}

/** Resolves when the GPU has done all that is queued. */
export function settled({ gpu }: Device): () => Promise<void> {
  return async () => {
    await gpu.queue.onSubmittedWorkDone();
  };
}

/** Invocations of the arithmetic ceiling: enough for two cores, and for a GPU that computes 2^19 of them in 0.7 ms. */
const [FEWEST_THREADS, MOST_THREADS] = [2 ** 13, 2 ** 22];
/** Copies in a submission of the copy ceiling: enough for two cores, and for a GPU that does 256 in 11 ms. */
const [FEWEST_COPIES, MOST_COPIES] = [4, 256];
/** A submission of copies takes as long, so that the time of submitting does not count. */
const COPYING_MS = 5;

/** Ceilings of an adapter, in the units of {@linkcode Case.bound}: GFLOP/s, and GB/s read and written. */
export interface Ceilings {
  readonly arithmetic: number;
  readonly copy: number;
}

/** Measures the ceilings. */
export async function measureCeilings(device: Device, care?: Care): Promise<Ceilings> {
  return {
    arithmetic: await measureCeiling(device, "arithmetic", care),
    copy: await measureCeiling(device, "copy", care),
  };
}

/** Measures a ceiling; the fastest timing counts. */
export function measureCeiling(device: Device, which: keyof Ceilings, care?: Care): Promise<number> {
  return (which === "copy" ? copyCeiling : arithmeticCeiling)(device, care);
}

/** Invocations that fill a device, once they are known. */
const filling = new WeakMap<GPUDevice, number>();

/** Multiply-adds on registers and nothing else: 16 independent vec4 accumulators. */
async function arithmeticCeiling(device: Device, care?: Care): Promise<number> {
  const { gpu } = device;
  const known = filling.get(gpu);
  if (known !== undefined) return await multiplyAdds(gpu, known, settled(device), care);
  // Invocations fill the adapter: their number grows while that gives more arithmetic.
  let best = 0;
  for (let threads = FEWEST_THREADS; threads <= MOST_THREADS; threads *= 8) {
    const gflops = await multiplyAdds(gpu, threads, settled(device), care);
    if (gflops < 1.1 * best) return Math.max(gflops, best);
    filling.set(gpu, threads);
    best = gflops;
  }
  return best;
}

/** GFLOP/s of so many invocations that multiply and add in registers. */
async function multiplyAdds(gpu: GPUDevice, threads: number, wait: () => Promise<void>, care?: Care): Promise<number> {
  const loops = 512;
  const names = Array.from({ length: 16 }, (_, k) => `a${k}`);
  const code = `
    @group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      let m = vec4f(f32(id.x) * 1e-9 + 0.999);
      ${names.map((a, k) => `var ${a} = vec4f(${k}.0);`).join(" ")}
      for (var k = 0; k < ${loops}; k++) { ${names.map((a) => `${a} = ${a} * m + m;`).join(" ")} }
      y[id.x] = ${names.join(" + ")};
    }`;
  const buffer = gpu.createBuffer({ size: threads * 16, usage: GPUBufferUsage.STORAGE });
  const pipeline = gpu.createComputePipeline({
    layout: "auto",
    compute: { module: gpu.createShaderModule({ code }), entryPoint: "main" },
  });
  const group = gpu.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const { low } = await measure(
    () => {
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(threads / 64);
      pass.end();
      gpu.queue.submit([encoder.finish()]);
    },
    wait,
    care,
  );
  buffer.destroy();
  return threads * loops * 16 * 8 / low / 1e6;
}

/** Copies in a submission that are enough for a device, once they are known. */
const copying = new WeakMap<GPUDevice, number>();

/** The adapter's own copy of 64 MiB. */
async function copyCeiling(device: Device, care?: Care): Promise<number> {
  const { gpu } = device;
  const size = 2 ** 26;
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const [from, to] = [gpu.createBuffer({ size, usage }), gpu.createBuffer({ size, usage })];
  const time = async (copies: number) => {
    const { low } = await measure(
      () => {
        const encoder = gpu.createCommandEncoder();
        for (let k = 0; k < copies; k++) encoder.copyBufferToBuffer(from, 0, to, 0, size);
        gpu.queue.submit([encoder.finish()]);
      },
      settled(device),
      care,
    );
    return low;
  };
  let copies = copying.get(gpu) ?? FEWEST_COPIES;
  let ms = await time(copies);
  while (ms < COPYING_MS && copies < MOST_COPIES) ms = await time(copies *= 8);
  copying.set(gpu, copies);
  from.destroy();
  to.destroy();
  return 2 * copies * size / ms / 1e6;
}
