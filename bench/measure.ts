/**
 * Times by the clock, and the ceilings that they are held against.
 *
 * @module
 */

import process from "node:process";
import { itemAt } from "../engine/lookup.ts";
import type { Device } from "../engine/device.ts";
import { repetitionsFor } from "../engine/tuning/repetitions.ts";

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
  let elapsed = 0;
  const count = await repetitionsFor(least_ms, async (count) => elapsed = await time(count));
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

/** Resolves when the GPU has done all that is queued; rejects if it reported an error. */
export function settled(device: Device): () => Promise<void> {
  return async () => {
    await device.gpu.queue.onSubmittedWorkDone();
    device.check();
  };
}

/** Invocations of the arithmetic ceiling: enough for two cores, and for a GPU that computes 2^19 of them in 0.7 ms. */
const [FEWEST_THREADS, MOST_THREADS] = [2 ** 13, 2 ** 22];
/** Invocations of a workgroup: a dispatch has 65,535 workgroups at most. */
const WORKGROUP = 256;
/** Loops of an invocation. */
const LOOPS = 512;
/** Copies in a submission of the copy ceiling: enough for two cores, and for a GPU that does 256 in 11 ms. */
const [FEWEST_COPIES, MOST_COPIES] = [4, 256];
/** A submission of copies takes as long, so that the time of submitting does not count. */
const COPYING_MS = 5;
/** Bytes of a copy. */
const COPIED = 2 ** 26;

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
  const known = filling.get(device.gpu);
  if (known !== undefined) return await multiplyAdds(device, known, LOOPS, care);
  // Invocations fill the adapter: their number grows while that gives more arithmetic.
  let best = 0;
  for (let threads = FEWEST_THREADS; threads <= MOST_THREADS; threads *= 8) {
    const gflops = await multiplyAdds(device, threads, LOOPS, care);
    if (gflops < 1.1 * best) return Math.max(gflops, best);
    filling.set(device.gpu, threads);
    best = gflops;
  }
  return best;
}

/** GFLOP/s of so many invocations that multiply and add in registers, so many times. */
export async function multiplyAdds(
  device: Device,
  threads: number = MOST_THREADS,
  loops = LOOPS,
  care?: Care,
): Promise<number> {
  const names = Array.from({ length: 16 }, (_, k) => `a${k}`);
  const code = `
    @group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(${WORKGROUP}) fn main(@builtin(global_invocation_id) id: vec3u) {
      let m = vec4f(f32(id.x) * 1e-9 + 0.999);
      ${names.map((a, k) => `var ${a} = vec4f(${k}.0);`).join(" ")}
      for (var k = 0; k < ${loops}; k++) { ${names.map((a) => `${a} = ${a} * m + m;`).join(" ")} }
      y[id.x] = ${names.join(" + ")};
    }`;
  const buffer = device.gpu.createBuffer({ size: threads * 16, usage: GPUBufferUsage.STORAGE });
  const dispatch = dispatcher(device, code, [buffer], threads);
  const { low } = await measure(() => submit(device, dispatch), settled(device), care);
  buffer.destroy();
  return threads * loops * 16 * 8 / low / 1e6;
}

/** Records a dispatch of a shader with these buffers. */
function dispatcher({ gpu }: Device, code: string, buffers: readonly GPUBuffer[], threads: number) {
  const pipeline = gpu.createComputePipeline({
    layout: "auto",
    compute: { module: gpu.createShaderModule({ code }), entryPoint: "main" },
  });
  const group = gpu.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  return (encoder: GPUCommandEncoder) => {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(threads / WORKGROUP);
    pass.end();
  };
}

/** Submits a command so many times at once. */
function submit({ gpu }: Device, record: (encoder: GPUCommandEncoder) => void, times = 1): void {
  const encoder = gpu.createCommandEncoder();
  for (let k = 0; k < times; k++) record(encoder);
  gpu.queue.submit([encoder.finish()]);
}

/** Ways to copy: the adapter's command, and a kernel, which is faster on some GPUs. */
type Way = "command" | "kernel";

/** The faster way to copy on a device, and copies in a submission that are enough for it, once they are known. */
const copying = new WeakMap<GPUDevice, { readonly way: Way; readonly copies: number }>();

/** Copies of 64 MiB, by the faster way. */
async function copyCeiling(device: Device, care?: Care): Promise<number> {
  const known = copying.get(device.gpu);
  if (known) return (await copies(device, known.way, known.copies, care)).gbs;
  const command = await copies(device, "command", FEWEST_COPIES, care);
  const kernel = await copies(device, "kernel", FEWEST_COPIES, care);
  const best = kernel.gbs > command.gbs ? kernel : command;
  copying.set(device.gpu, best);
  return best.gbs;
}

/** GB/s read and written by so many copies in a submission, or by as many as take long enough. */
async function copies(
  device: Device,
  way: Way,
  fewest: number,
  care?: Care,
): Promise<{ readonly gbs: number; readonly way: Way; readonly copies: number }> {
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST | GPUBufferUsage.STORAGE;
  const [from, to] = [0, 1].map(() => device.gpu.createBuffer({ size: COPIED, usage })) as [GPUBuffer, GPUBuffer];
  const code = `
    @group(0) @binding(0) var<storage, read> x: array<vec4f>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(${WORKGROUP}) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = x[id.x]; }`;
  const record = way === "kernel"
    ? dispatcher(device, code, [from, to], COPIED / 16)
    : (encoder: GPUCommandEncoder) => encoder.copyBufferToBuffer(from, 0, to, 0, COPIED);
  let copies = fewest;
  const time = async () => (await measure(() => submit(device, record, copies), settled(device), care)).low;
  let ms = await time();
  while (ms < COPYING_MS && copies < MOST_COPIES) {
    copies *= 8;
    ms = await time();
  }
  from.destroy();
  to.destroy();
  return { gbs: 2 * copies * COPIED / ms / 1e6, way, copies };
}
