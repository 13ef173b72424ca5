/**
 * Runs a plan: pipelines, bind groups and storage are made once; a run is a loop over dispatches.
 *
 * @module
 */

import type { Device } from "./device.ts";
import { showShape, texels, type Value } from "./graph.ts";
import { plan } from "./plan/plan.ts";
import { type Budget, type Fetches, type Plan, UNIFORM_BYTES } from "./plan/records.ts";
import { countBytes, type Encode, mapped, Storage, Tensor, unpack } from "./tensor.ts";
import { assemble, TEXEL_FORMATS } from "./wgsl.ts";

/** Tensors by parameter name; shared by the executables that use them. */
export type Parameters = ReadonlyMap<string, Tensor>;

interface PreparedDispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number];
  /** Tensors that a cached dispatch reads, and the sum of their versions at its last execution; null for other dispatches. */
  readonly cached: { readonly from: readonly Storage[]; versions: number } | null;
  /** Copies of its results from the staging buffer to their textures. */
  readonly staged: readonly Encode[];
  /** True if the staging buffer is copied to the textures before it. */
  readonly flushBefore: boolean;
}

/** A copy after so many dispatches. */
interface Update {
  readonly after: number;
  readonly encode: Encode;
}

/** True if the results of a dispatch are there from an earlier run; otherwise counts the dispatch as executed. */
function isCached({ cached }: PreparedDispatch): boolean {
  if (!cached) return false;
  const versions = cached.from.reduce((sum, { version }) => sum + version, 0);
  const same = versions === cached.versions;
  cached.versions = versions;
  return same;
}

/** A plan with its storage on a device. */
export class Executable {
  /**
   * The plan, for its costs.
   *
   * @internal
   */
  readonly plan: Plan;
  readonly #device: Device;
  readonly #own: Storage[] = [];
  readonly #storage = new Map<Value, Storage>();
  readonly #inputs = new Map<string, Tensor>();
  readonly #dispatches: PreparedDispatch[] = [];
  readonly #uniforms: GPUBuffer;
  /** Results before they are copied to their textures. */
  readonly #stagingBuffer: GPUBuffer | null = null;
  readonly #copies: Update[] = [];

  /** Plans `fetches`, in a budget of memory if there is one, and allocates; every parameter of the graph must be in `parameters`. */
  constructor(device: Device, fetches: Fetches, parameters: Parameters = new Map(), budget?: Budget) {
    this.#device = device;
    const { storage, bindings, tiled, staged, selector } = device;
    const isF16 = (name: string) => parameters.get(name)?.storage.dtype === "f16";
    this.plan = plan(fetches, { storage, bindings, tiled, staged, isF16, ...(selector && { selector }) }, budget);
    const { gpu } = device;
    for (const leaf of this.plan.leaves) this.#storage.set(leaf, this.#leaf(leaf, parameters));
    const pool = this.plan.pool.map((count) => {
      const storage = new Storage(device, count);
      this.#own.push(storage);
      return storage;
    });
    for (const [value, slot] of this.plan.slots) this.#storage.set(value, pool[slot]!);
    for (const [value, parameter] of this.plan.inPlaceUpdates) this.#storage.set(value, this.#storage.get(parameter)!);

    const dtypeOf = (value: Value) => this.#storage.get(value)!.dtype;
    const programs = this.plan.dispatches.map(({ program, reads }, k) => {
      const staged = this.plan.staging[k]!.slices.map((slice) => slice !== null);
      return assemble(program, storage, device.zeroOutside, reads.map(dtypeOf), staged);
    });
    const { stagingBuffer } = this.plan.bytes;
    if (stagingBuffer) {
      this.#stagingBuffer = gpu.createBuffer({
        size: stagingBuffer,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
      });
      countBytes(device, stagingBuffer);
    }
    const offsets: number[] = [];
    let size = 0;
    for (const { uniforms } of programs) {
      offsets.push(size);
      size += Math.ceil(uniforms.byteLength / UNIFORM_BYTES) * UNIFORM_BYTES;
    }
    this.#uniforms = gpu.createBuffer({
      size: Math.max(size, UNIFORM_BYTES),
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    countBytes(device, this.#uniforms.size);
    const block = new Uint8Array(this.#uniforms.size);
    programs.forEach(({ uniforms }, k) => block.set(new Uint8Array(uniforms), offsets[k]!));
    gpu.queue.writeBuffer(this.#uniforms, 0, block);

    programs.forEach(({ code, label, uniforms, workgroups }, k) => {
      const { reads, writes, program, cached } = this.plan.dispatches[k]!;
      const { flushBefore, slices } = this.plan.staging[k]!;
      const layout = gpu.createBindGroupLayout({
        entries: [
          { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "uniform" } },
          ...[...reads, ...writes].map((value, b): GPUBindGroupLayoutEntry => ({
            binding: 1 + b,
            visibility: GPUShaderStage.COMPUTE,
            ...(storage === "texture" && !slices[b - reads.length]
              ? {
                storageTexture: {
                  access: b < reads.length ? "read-only" : "write-only",
                  format: TEXEL_FORMATS[dtypeOf(value)],
                },
              }
              : { buffer: { type: b < reads.length ? "read-only-storage" : "storage" } }),
          })),
        ],
      });
      const key = `${program.kernel.entry}\n${code}`;
      let pipeline = device.pipelines.get(key);
      if (!pipeline) {
        pipeline = gpu.createComputePipeline({
          label,
          layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: { module: gpu.createShaderModule({ label, code }), entryPoint: program.kernel.entry },
        });
        device.pipelines.set(key, pipeline);
      }
      const staged: Encode[] = [];
      const target = (value: Value, w: number): GPUBindingResource => {
        const to = this.#storage.get(value)!;
        const slice = slices[w];
        if (!slice) return to.resource;
        staged.push(to.copyFrom(this.#stagingBuffer!, slice.offset, texels(value.shape)));
        return { buffer: this.#stagingBuffer!, ...slice };
      };
      const resources = [...reads.map((v) => this.#storage.get(v)!.resource), ...writes.map(target)];
      const group = gpu.createBindGroup({
        layout,
        entries: [
          { binding: 0, resource: { buffer: this.#uniforms, offset: offsets[k]!, size: uniforms.byteLength } },
          ...resources.map((resource, b) => ({ binding: 1 + b, resource })),
        ],
      });
      const from = reads.map((v) => this.#storage.get(v)!);
      this.#dispatches.push({
        pipeline,
        group,
        workgroups,
        staged,
        flushBefore,
        cached: cached ? { from, versions: -1 } : null,
      });
    });
    for (const { parameter, value, after } of this.plan.copies) {
      const from = this.#storage.get(this.plan.resolve(value))!;
      const to = this.#storage.get(parameter)!;
      if (from.dtype !== to.dtype) {
        const { name } = parameter.node.leaf as { name: string };
        throw new TypeError(
          `Cannot update parameter "${name}": it is ${to.dtype}, hint: only frozen weights may be f16`,
        );
      }
      if (from !== to) this.#copies.push({ after, encode: from.copyTo(to, texels(parameter.shape)) });
    }
    device.check();
  }

  #leaf(value: Value, parameters: Parameters): Storage {
    const leaf = value.node.leaf!;
    if (leaf.kind === "parameter") {
      const tensor = parameters.get(leaf.name);
      if (!tensor) throw new TypeError(`Cannot run the graph: parameter "${leaf.name}" is missing`);
      if (texels(tensor.shape) !== texels(value.shape)) {
        throw new TypeError(
          `Cannot use parameter "${leaf.name}": its shape is ${showShape(tensor.shape)}, the graph has ${
            showShape(value.shape)
          }`,
        );
      }
      return tensor.storage;
    }
    const tensor = new Tensor(this.#device, value.shape, leaf.kind === "constant" ? leaf.data : undefined);
    this.#own.push(tensor.storage);
    if (leaf.kind === "input") this.#inputs.set(leaf.name, tensor);
    return tensor.storage;
  }

  /**
   * Uploads the inputs and submits one run, without pending for it. Parameters named in the fetches' updates have their
   * new values afterwards.
   */
  run(inputs: Readonly<Record<string, ArrayLike<number>>> = {}): void {
    for (const [name, data] of Object.entries(inputs)) {
      // An input that nothing depends on has no tensor.
      this.#inputs.get(name)?.write(data);
    }
    const encoder = this.#encode(this.#dispatches, this.#copies, isCached);
    this.#device.gpu.queue.submit([encoder.finish()]);
    this.#device.check();
  }

  /** Records dispatches but for those to be left out, and copies between them. */
  #encode(
    dispatches: readonly PreparedDispatch[],
    copies: readonly Update[],
    skip: (dispatch: PreparedDispatch) => boolean = () => false,
  ): GPUCommandEncoder {
    const encoder = this.#device.gpu.createCommandEncoder();
    let pass: GPUComputePassEncoder | null = null;
    let last: GPUComputePipeline | null = null;
    let pending: Encode[] = [];
    const flush = () => {
      pass?.end();
      pass = last = null;
      for (const encode of pending) encode(encoder);
      pending = [];
    };
    let copied = 0;
    const copyUntil = (at: number) => {
      if (copied === copies.length || copies[copied]!.after > at) return;
      flush();
      while (copied < copies.length && copies[copied]!.after <= at) copies[copied++]!.encode(encoder);
    };
    dispatches.forEach((dispatch, k) => {
      copyUntil(k);
      const { pipeline, group, workgroups, staged, flushBefore } = dispatch;
      if (flushBefore && pending.length) flush();
      if (skip(dispatch)) return;
      pass ??= encoder.beginComputePass();
      if (pipeline !== last) pass.setPipeline(last = pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
      if (staged.length) pending.push(...staged);
    });
    copyUntil(dispatches.length);
    flush();
    return encoder;
  }

  /** Reads an output of the latest run; the copy is queued at once, so later runs do not disturb it. */
  async read(name: string): Promise<Float32Array> {
    const value = this.plan.fetches.outputs[name];
    if (!value) {
      throw new TypeError(`Cannot read "${name}": outputs are ${Object.keys(this.plan.fetches.outputs).join(", ")}`);
    }
    const encoder = this.#device.gpu.createCommandEncoder();
    const storage = this.#storage.get(this.plan.resolve(value))!;
    const back = storage.copyOut(encoder, texels(value.shape));
    this.#device.gpu.queue.submit([encoder.finish()]);
    return unpack(value.shape, await mapped(this.#device, back, storage.dtype));
  }

  /**
   * Times every dispatch by itself, by the clock: timestamps of software drivers do not wait for the work.
   * Parameters are not updated.
   *
   * @returns Milliseconds by dispatch, in the order of `plan.dispatches`.
   */
  async profile(): Promise<Float64Array> {
    const { gpu } = this.#device;
    // A wait costs about 12 ms whatever the work, so a timing spans as many repetitions as fill much more.
    const LEAST_MS = 40;
    const known = new Map<string, number>();
    const times = new Float64Array(this.#dispatches.length);
    // Shaders are compiled at their first dispatch, which must not be timed.
    gpu.queue.submit([this.#encode(this.#dispatches, []).finish()]);
    await gpu.queue.onSubmittedWorkDone();
    for (const [k, ready] of this.#dispatches.entries()) {
      const { program, reads } = this.plan.dispatches[k]!;
      const key = JSON.stringify([
        program.kernel.label,
        program.kernel.ints,
        ready.workgroups,
        reads.map((v) => v.shape),
      ]);
      let ms = known.get(key);
      for (let count = 1; ms === undefined; count *= 4) {
        const commands = this.#encode(Array<PreparedDispatch>(count).fill(ready), []).finish();
        const start = performance.now();
        gpu.queue.submit([commands]);
        await gpu.queue.onSubmittedWorkDone();
        const elapsed = performance.now() - start;
        if (elapsed > LEAST_MS || count >= 256) known.set(key, ms = elapsed / count);
      }
      times[k] = ms;
    }
    this.#device.check();
    return times;
  }

  /** Frees everything but the parameters. */
  destroy(): void {
    for (const storage of this.#own) storage.destroy();
    for (const buffer of [this.#uniforms, this.#stagingBuffer]) {
      if (!buffer) continue;
      countBytes(this.#device, -buffer.size);
      buffer.destroy();
    }
  }
}
