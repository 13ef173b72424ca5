/**
 * Preparation of a plan for a device: memory, WGSL modules, uniforms, pipelines and bind groups, made once before the
 * runs.
 *
 * @module
 */

import type { Device } from "./device.ts";
import { showShape, texels, type Value } from "./graph.ts";
import { itemAt, lookUp } from "./lookup.ts";
import { type Dispatch, type Plan, type Staging, UNIFORM_BYTES } from "./plan/records.ts";
import { countedBuffer, type Encode, Storage, Tensor } from "./tensor.ts";
import { assemble, type Assembled, TEXEL_FORMATS } from "./wgsl.ts";

/** Tensors by parameter name; shared by the executables that use them. */
export type Parameters = ReadonlyMap<string, Tensor>;

/** Memory of a plan on a device. */
export interface PlanMemory {
  /** Storage of every stored value. */
  readonly storage: ReadonlyMap<Value, Storage>;
  /** Inputs by name. */
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Results before they are copied to their textures; null for a plan that stages none. */
  readonly stagingBuffer: GPUBuffer | null;
}

/** A dispatch that is ready to be encoded. */
export interface PreparedDispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number];
  /** Tensors that a cached dispatch reads, and the sum of their versions at its last execution; null for other dispatches. */
  readonly cached: { readonly from: readonly Storage[]; versions: number } | null;
  /** Copies of its results from the staging buffer to their textures. */
  readonly staged: readonly Encode[];
  /** True if the staging buffer is copied to the textures before it. */
  readonly flushBefore: boolean;
  /** Parameters that it writes in place. */
  readonly replaced: readonly Storage[];
}

/** A copy of a new value to its parameter, after so many dispatches. */
export interface PreparedCopy {
  readonly after: number;
  readonly encode: Encode;
}

/**
 * Allocates the memory of a plan.
 *
 * @param owned Takes what is allocated; parameters stay their owner's.
 * @throws {TypeError} If a parameter is missing or of another shape.
 */
export function allocate(device: Device, plan: Plan, parameters: Parameters, owned: DisposableStack): PlanMemory {
  const storage = new Map<Value, Storage>();
  const inputs = new Map<string, Tensor>();
  for (const value of plan.leaves) {
    const { leaf } = value.node;
    if (!leaf) throw new Error("Cannot allocate a leaf: an op computes it");
    if (leaf.kind === "parameter") {
      storage.set(value, parameterOf(leaf.name, value, parameters).storage);
      continue;
    }
    const tensor = owned.use(new Tensor(device, value.shape, leaf.kind === "constant" ? leaf.data : undefined));
    if (leaf.kind === "input") inputs.set(leaf.name, tensor);
    storage.set(value, tensor.storage);
  }
  const pool = plan.pool.map(({ texels, dtype }) => owned.use(new Storage(device, texels, dtype)));
  for (const [value, slot] of plan.slots) storage.set(value, itemAt(pool, slot, "pool slots"));
  for (const [value, parameter] of plan.inPlaceUpdates) storage.set(value, lookUp(storage, parameter, "parameters"));
  const { stagingBuffer: size } = plan.bytes;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
  return { storage, inputs, stagingBuffer: size ? owned.use(countedBuffer(device, { size, usage })).buffer : null };
}

function parameterOf(name: string, value: Value, parameters: Parameters): Tensor {
  const tensor = parameters.get(name);
  if (!tensor) throw new TypeError(`Cannot run the graph: parameter "${name}" is missing`);
  if (texels(tensor.shape) !== texels(value.shape)) {
    const [given, wanted] = [tensor.shape, value.shape].map(showShape);
    throw new TypeError(`Cannot use parameter "${name}": its shape is ${given}, the graph has ${wanted}`);
  }
  return tensor;
}

/**
 * Makes the dispatches of a plan ready.
 *
 * @param owned Takes what is allocated.
 */
export function prepareDispatches(
  device: Device,
  plan: Plan,
  memory: PlanMemory,
  owned: DisposableStack,
): PreparedDispatch[] {
  const stagings = plan.dispatches.map((_, k) => itemAt(plan.staging, k, "staging"));
  const replacing = plan.dispatches.map(({ reads, writes }, k) => {
    const { slices } = itemAt(stagings, k, "staging");
    const replaced = writes.map((value, j) => slices[j] ? undefined : plan.inPlaceUpdates.get(value));
    return reads.map((value) => replaced.indexOf(value));
  });
  const programs = plan.dispatches.map(({ program, reads, writes }, k) => {
    const staged = itemAt(stagings, k, "staging").slices.map((slice) => slice !== null);
    const dtypes = reads.map((value) => lookUp(memory.storage, value, "storage").dtype);
    const results = writes.map((value) => lookUp(memory.storage, value, "storage").dtype);
    const inPlace = itemAt(replacing, k, "dispatches");
    return assemble(program, device, { reads: dtypes, writes: results }, { staged, inPlace });
  });
  const uniforms = uploadUniforms(device, programs, owned);
  return plan.dispatches.map((dispatch, k) =>
    prepareDispatch(device, {
      dispatch,
      memory,
      staging: itemAt(stagings, k, "staging"),
      inPlace: itemAt(replacing, k, "dispatches"),
      assembled: itemAt(programs, k, "programs"),
      uniforms: itemAt(uniforms, k, "uniforms"),
    })
  );
}

/** Writes the uniforms of all dispatches to one buffer, and returns the part of each. */
function uploadUniforms(device: Device, programs: readonly Assembled[], owned: DisposableStack): GPUBufferBinding[] {
  let end = 0;
  const slices = programs.map(({ uniforms }) => {
    const slice = { offset: end, size: uniforms.byteLength };
    end += Math.ceil(uniforms.byteLength / UNIFORM_BYTES) * UNIFORM_BYTES;
    return slice;
  });
  const size = Math.max(end, UNIFORM_BYTES);
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const { buffer } = owned.use(countedBuffer(device, { size, usage }));
  const block = new Uint8Array(size);
  programs.forEach(({ uniforms }, k) => block.set(new Uint8Array(uniforms), slices[k]?.offset));
  device.gpu.queue.writeBuffer(buffer, 0, block);
  return slices.map((slice) => ({ buffer, ...slice }));
}

interface Ingredients {
  readonly dispatch: Dispatch;
  readonly memory: PlanMemory;
  readonly staging: Staging;
  /** By read, the result that is written to its buffer; -1 without one. */
  readonly inPlace: readonly number[];
  readonly assembled: Assembled;
  readonly uniforms: GPUBufferBinding;
}

function prepareDispatch(device: Device, given: Ingredients): PreparedDispatch {
  const { dispatch: { reads, writes, program, cached }, memory, staging: { flushBefore, slices }, inPlace, assembled } =
    given;
  const storageOf = (value: Value) => lookUp(memory.storage, value, "storage");
  const layout = bindGroupLayout(device, given);
  const staged: Encode[] = [];
  const result = (value: Value, k: number): GPUBindingResource => {
    const slice = slices[k];
    const buffer = memory.stagingBuffer;
    if (!slice || !buffer) return storageOf(value).resource;
    staged.push(storageOf(value).copyFrom(buffer, slice.offset, texels(value.shape)));
    return { buffer, ...slice };
  };
  const from = reads.map(storageOf);
  const entries = [
    { binding: 0, resource: given.uniforms },
    ...from.map(({ resource }, k) => ({ binding: 1 + k, resource })).filter((_, k) => itemAt(inPlace, k, "reads") < 0),
    ...writes.map((value, j) => ({ binding: 1 + reads.length + j, resource: result(value, j) })),
  ];
  return {
    pipeline: pipelineOf(device, program.kernel.entry, assembled, layout),
    group: device.gpu.createBindGroup({ layout, entries }),
    workgroups: assembled.workgroups,
    staged,
    flushBefore,
    replaced: from.filter((_, k) => itemAt(inPlace, k, "reads") >= 0),
    cached: cached ? { from, versions: -1 } : null,
  };
}

function bindGroupLayout(
  device: Device,
  { dispatch: { reads, writes }, memory, staging: { slices }, inPlace }: Ingredients,
): GPUBindGroupLayout {
  const texture = device.storage === "texture";
  const visibility = GPUShaderStage.COMPUTE;
  const bound = (value: Value, access: "read-only" | "write-only"): Omit<GPUBindGroupLayoutEntry, "binding"> => {
    const { dtype } = lookUp(memory.storage, value, "storage");
    return { visibility, storageTexture: { access, format: TEXEL_FORMATS[dtype] } };
  };
  const entries = [
    { visibility, buffer: { type: "uniform" } } as const,
    ...reads.map((value) =>
      texture ? bound(value, "read-only") : { visibility, buffer: { type: "read-only-storage" } } as const
    ),
    ...writes.map((value, k) =>
      texture && !slices[k] ? bound(value, "write-only") : { visibility, buffer: { type: "storage" } } as const
    ),
  ];
  return device.gpu.createBindGroupLayout({
    entries: entries.map((entry, binding) => ({ binding, ...entry }))
      .filter((_, binding) => (inPlace[binding - 1] ?? -1) < 0),
  });
}

/** The pipeline of a module, shared by all plans of the device that have the same code. */
function pipelineOf(
  { gpu, pipelines }: Device,
  entryPoint: string,
  { code, label }: Assembled,
  layout: GPUBindGroupLayout,
): GPUComputePipeline {
  const key = `${entryPoint}\n${code}`;
  const known = pipelines.get(key);
  if (known) return known;
  const pipeline = gpu.createComputePipeline({
    label,
    layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: gpu.createShaderModule({ label, code }), entryPoint },
  });
  pipelines.set(key, pipeline);
  return pipeline;
}

/**
 * Copies of new values to their parameters.
 *
 * @throws {TypeError} If a parameter is f16.
 */
export function prepareCopies({ copies, resolve }: Plan, { storage }: PlanMemory): PreparedCopy[] {
  return copies.flatMap(({ parameter, value, after }) => {
    const from = lookUp(storage, resolve(value), "storage");
    const to = lookUp(storage, parameter, "storage");
    if (from.dtype !== to.dtype) {
      const { leaf } = parameter.node;
      const name = leaf?.kind === "parameter" ? leaf.name : "";
      throw new TypeError(
        `Cannot update parameter "${name}": it is ${to.dtype}, hint: only frozen weights may be f16`,
      );
    }
    return from === to ? [] : [{ after, encode: from.copyTo(to, texels(parameter.shape)) }];
  });
}
