/**
 * Runs a plan: pipelines, bind groups and storage are made once; a run is a loop over dispatches.
 *
 * @module
 */

import type { Device } from "./device.ts";
import { texels } from "./graph.ts";
import { itemAt, lookUp } from "./lookup.ts";
import { type NonFiniteResult, NonFiniteSearch } from "./non_finite.ts";
import { plan } from "./plan/plan.ts";
import type { Budget, Fetches, Plan } from "./plan/records.ts";
import {
  allocate,
  type Parameters,
  type PlanMemory,
  prepareCopies,
  type PreparedCopy,
  type PreparedDispatch,
  prepareDispatches,
} from "./prepare.ts";
import { copyBufferOut, type Encode, mapped, Storage, storageBytes, unpack } from "./tensor.ts";
import type { Step } from "./wgsl.ts";

/** True if the results of a dispatch are there from an earlier run; otherwise counts the dispatch as executed. */
function isCached({ cached }: PreparedDispatch): boolean {
  if (!cached) return false;
  const versions = cached.from.reduce((sum, { version }) => sum + version, 0);
  const same = versions === cached.versions;
  cached.versions = versions;
  return same;
}

/** A plan with its storage on a device. */
export class Executable implements Disposable {
  /**
   * The plan, for its costs.
   *
   * @internal
   */
  readonly plan: Plan;
  readonly #device: Device;
  /** All allocations. */
  readonly #owned: DisposableStack;
  readonly #memory: PlanMemory;
  readonly #dispatches: readonly PreparedDispatch[];
  readonly #copies: readonly PreparedCopy[];

  /**
   * Plans `fetches`, in a budget of memory if there is one, and allocates. Nothing stays allocated if that fails.
   *
   * @param parameters Every parameter of the graph; they stay their owner's.
   * @param fused False to give every op a dispatch of its own, for {@linkcode Executable.firstNonFinite}.
   */
  constructor(device: Device, fetches: Fetches, parameters: Parameters = new Map(), budget?: Budget, fused = true) {
    using owned = new DisposableStack();
    const { storage, bindings, tiled, staged, selector } = device;
    const isF16 = (name: string) => parameters.get(name)?.storage.dtype === "f16";
    this.#device = device;
    const target = { storage, bindings, tiled, staged, isF16, fused, ...(selector && { selector }) };
    this.plan = plan(fetches, target, budget);
    this.#memory = allocate(device, this.plan, parameters, owned);
    this.#dispatches = prepareDispatches(device, this.plan, this.#memory, owned);
    this.#copies = prepareCopies(this.plan, this.#memory);
    device.check();
    this.#owned = owned.move();
  }

  /**
   * Uploads the inputs and submits one run, without waiting for it. Parameters named in the fetches' updates have their
   * new values afterwards.
   */
  run(inputs: Readonly<Record<string, ArrayLike<number>>> = {}): void {
    this.#write(inputs);
    const encoder = this.#encode(this.#dispatches, this.#copies, isCached);
    this.#device.gpu.queue.submit([encoder.finish()]);
    this.#device.check();
  }

  #write(inputs: Readonly<Record<string, ArrayLike<number>>>): void {
    // An input that nothing depends on has no tensor.
    for (const [name, data] of Object.entries(inputs)) this.#memory.inputs.get(name)?.write(data);
  }

  /** Records dispatches but for those to be left out, and copies between them. */
  #encode(
    dispatches: readonly PreparedDispatch[],
    copies: readonly PreparedCopy[],
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
      let next = copies[copied];
      if (!next || next.after > at) return;
      flush();
      for (; next && next.after <= at; next = copies[++copied]) next.encode(encoder);
    };
    dispatches.forEach((dispatch, k) => {
      copyUntil(k);
      const { pipeline, group, workgroups, staged, flushBefore, replaced } = dispatch;
      if (flushBefore && pending.length) flush();
      if (skip(dispatch)) return;
      pass ??= encoder.beginComputePass();
      if (pipeline !== last) pass.setPipeline(last = pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
      if (staged.length) pending.push(...staged);
      for (const storage of replaced) storage.changed();
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
    const storage = lookUp(this.#memory.storage, this.plan.resolve(value), "storage");
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
    using _kept = this.#keepParameters();
    // A wait costs about 12 ms whatever the work, so a timing spans as many repetitions as fill much more.
    const LEAST_MS = 40;
    const known = new Map<string, number>();
    const times = new Float64Array(this.#dispatches.length);
    // Shaders are compiled at their first dispatch, which must not be timed.
    gpu.queue.submit([this.#encode(this.#dispatches, []).finish()]);
    await gpu.queue.onSubmittedWorkDone();
    for (const [k, ready] of this.#dispatches.entries()) {
      const { program, reads } = itemAt(this.plan.dispatches, k, "dispatches");
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
        if (elapsed > LEAST_MS || count >= 4096) known.set(key, ms = elapsed / count);
      }
      times[k] = ms;
    }
    this.#device.check();
    return times;
  }

  /**
   * Runs dispatch by dispatch and reads every result, to find where a value that is not finite comes from. Parameters
   * are read too, and are not updated.
   *
   * @returns The first result that is not finite; null if all are.
   */
  async firstNonFinite(inputs: Readonly<Record<string, ArrayLike<number>>> = {}): Promise<NonFiniteResult | null> {
    this.#write(inputs);
    using _kept = this.#keepParameters();
    const search = new NonFiniteSearch(this.#device);
    const { storage } = this.#memory;
    for (const value of this.plan.leaves) {
      const { leaf } = value.node;
      const op = leaf && leaf.kind !== "constant" ? `${leaf.kind} "${leaf.name}"` : "constant";
      const from = lookUp(storage, value, "storage");
      const buffer = from.copyOut(search.encoder, texels(value.shape));
      search.add({ op, label: null, shape: value.shape, buffer, dtype: from.dtype });
      const found = await search.check(false);
      if (found) return found;
    }
    for (const k of this.plan.dispatches.keys()) {
      this.#encodeChecked(search, k);
      const found = await search.check(k + 1 === this.plan.dispatches.length);
      if (found) return found;
    }
    return await search.check(true);
  }

  /** Copies the parameters that dispatches write in place; when it is disposed of they have these values again. */
  #keepParameters(): Disposable {
    const { gpu } = this.#device;
    const written = new Set(this.#dispatches.flatMap(({ replaced }) => replaced));
    const copies = [...written].map((storage) => {
      const count = storage.bytes / storageBytes(1, "buffer");
      const copy = new Storage(this.#device, count);
      return { copy, keep: storage.copyTo(copy, count), restore: copy.copyTo(storage, count) };
    });
    const submit = (encodes: readonly Encode[]) => {
      const encoder = gpu.createCommandEncoder();
      for (const encode of encodes) encode(encoder);
      gpu.queue.submit([encoder.finish()]);
    };
    submit(copies.map(({ keep }) => keep));
    return {
      [Symbol.dispose]() {
        submit(copies.map(({ restore }) => restore));
        for (const { copy } of copies) copy.destroy();
      },
    };
  }

  /** Encodes a dispatch, and copies of its results out of the device; new values of parameters stay in the staging buffer. */
  #encodeChecked(search: NonFiniteSearch, k: number): void {
    const { encoder } = search;
    const { pipeline, group, workgroups, staged } = itemAt(this.#dispatches, k, "dispatches");
    const { program: { kernel, loads, stores }, name, writes } = itemAt(this.plan.dispatches, k, "dispatches");
    const { slices } = itemAt(this.plan.staging, k, "staging");
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
    pass.end();
    const called = (steps: readonly Step[]) => steps.flatMap((step) => step.kind === "call" ? [step.name] : []);
    const before = loads.flatMap((load) => "steps" in load ? called(load.steps) : []);
    const behind = kernel.reads.length ? stores.flatMap(({ steps }) => called(steps)) : [];
    const op = [...before, name, ...behind].join("+");
    const flushes = [...staged];
    const { stagingBuffer, storage } = this.#memory;
    for (const [j, value] of writes.entries()) {
      const slice = slices[j];
      const flush = slice ? flushes.shift() : undefined;
      if (flush && !this.plan.inPlaceUpdates.has(value)) flush(encoder);
      const to = lookUp(storage, value, "storage");
      const buffer = slice && stagingBuffer
        ? copyBufferOut(this.#device, encoder, stagingBuffer, slice)
        : to.copyOut(encoder, texels(value.shape));
      search.add({ op, label: kernel.label, shape: value.shape, buffer, dtype: to.dtype });
    }
  }

  /** Frees everything but the parameters; does nothing the second time. */
  destroy(): void {
    this.#owned.dispose();
  }

  /** As {@linkcode Executable.destroy}: for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}
