/**
 * The GPU: adapter, limits, storage class, and errors that are never swallowed.
 *
 * @module
 */

import {
  type Adapter,
  type AdapterFacts,
  chooseAdapters,
  driverEnvironment,
  factsOf,
  isSame,
  missingDrivers,
} from "./adapters.ts";
import { environment, HOST, setEnvironment } from "../formats/host.ts";
import { InputError } from "../formats/input_error.ts";
import type { KernelSelector } from "./graph.ts";

/** An open GPU device. */
export interface Device {
  /** The WebGPU device, with the adapter's own limits. */
  readonly gpu: GPUDevice;
  /** Vendor, device and description of the adapter with the host: the key of tuning caches and manifests. */
  readonly name: string;
  /** Name of the adapter alone. */
  readonly description: string;
  /** True if a processor computes for it: a software driver. */
  readonly software: boolean;
  /** Storage class of every tensor. */
  readonly storage: "texture" | "buffer";
  /** True if reading outside a storage texture gave zeros on this adapter. */
  readonly zeroOutside: boolean;
  /** Most tensors that one dispatch may bind. */
  readonly bindings: number;
  /** True if kernels tile in workgroup memory. */
  readonly tiled: boolean;
  /**
   * True if large results of kernels are written to a buffer and copied to their textures. A software driver stores a
   * texel of a texture component by component, in three times the time of a buffer's.
   */
  readonly staged: boolean;
  /** Selects kernels that were tuned on the adapter; plans use the ops' own without it. */
  readonly selector?: KernelSelector;
  /** Throws the first error that the device reported since it was opened, with its text. */
  check(): void;
  /** Pipelines by entry point and code, shared by all plans of the device. */
  readonly pipelines: Map<string, GPUComputePipeline>;
  /** Bytes that plans, tensors and readings have on the device, and the most there were. */
  readonly memory: { live: number; peak: number };
  /** Frees the device and all that lives on it. */
  destroy(): void;
}

/** Options of {@linkcode openDevice}. */
export interface DeviceOptions {
  /**
   * The adapter, one of `listAdapters`; unless given, the one that the environment variable `FACEWRIGHT_GPU` chooses, or
   * WebGPU's for high performance, which is a software driver's only where there is no other.
   */
  adapter?: Adapter | undefined;
  /** Storage class; `auto` takes textures on software drivers, which read texels faster, and buffers on hardware. */
  storage?: "auto" | "texture" | "buffer";
  /** True if kernels tile in workgroup memory; unless given, those of the buffer class on hardware do. */
  tiled?: boolean;
  /** True if large results are staged; unless given, textures of software drivers are. */
  staged?: boolean;
}

/** Raised when no adapter is found: the machine lacks a Vulkan driver. */
export class NoAdapterError extends Error {
  /** The class. */
  override name = "NoAdapterError";
}

/** Raised when the device is lost while in use; work can be resumed from the last checkpoint. */
export class DeviceLostError extends Error {
  /** The class. */
  override name = "DeviceLostError";
}

/** The adapter that this thread chose: its WebGPU keeps the drivers that it opened at the first request. */
let chosen: Adapter | undefined;
let requested = false;

/** Requests an adapter with the drivers that it needs. */
async function requestAdapter(wanted: Adapter | undefined): Promise<GPUAdapter> {
  if (requested && wanted && !(chosen && isSame(chosen, wanted) && chosen.address === wanted.address)) {
    throw new InputError(
      `Cannot open ${wanted.description} as this thread has opened ${chosen?.description ?? "another adapter"}: ` +
        "a thread has one choice",
    );
  }
  // Without a choice one that was made before goes on: the environment has no effect on a later request.
  const { environment: drivers, powerPreference } = (wanted ?? chosen)?.selection ??
    { environment: driverEnvironment(), powerPreference: "high-performance" };
  const restore = requested ? () => {} : setEnvironment(drivers);
  try {
    chosen ??= wanted;
    requested = true;
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference });
    if (!adapter) throw new NoAdapterError(noAdapterMessage());
    const found = factsOf(adapter);
    if (chosen && !isSame(found, chosen)) {
      throw new Error(`Cannot open ${chosen.description} as its driver gave ${found.description} in its place`);
    }
    return adapter;
  } finally {
    restore();
  }
}

/** The message where WebGPU finds no adapter. */
export function noAdapterMessage(): string {
  const missing = missingDrivers();
  if (missing.length) {
    return `Cannot open a GPU as VK_DRIVER_FILES or VK_ICD_FILENAMES names ${missing.join(" and ")}, where there is ` +
      "nothing, hint: unset it, or name the manifest of a Vulkan driver";
  }
  return "Cannot open a GPU as WebGPU finds no adapter, hint: install a Vulkan driver, or the software driver with " +
    "`apt-get install libvulkan1 mesa-vulkan-drivers`; docs/servers.md has what GPUs of NVIDIA need";
}

/**
 * Facts about the adapter that {@linkcode openDevice} would open, without opening it.
 *
 * @throws {NoAdapterError} If WebGPU finds no adapter.
 */
export async function describeAdapter({ adapter }: DeviceOptions = {}): Promise<AdapterFacts> {
  return factsOf(await requestAdapter(adapter ?? await preferredAdapter()));
}

/** The adapter that the environment variable `FACEWRIGHT_GPU` chooses. */
async function preferredAdapter(): Promise<Adapter | undefined> {
  const text = environment("FACEWRIGHT_GPU");
  return requested || !text ? chosen : (await chooseAdapters([text]))[0];
}

/**
 * Opens the GPU with all the limits that its adapter offers.
 *
 * The storage class can be forced by the environment variable `FACEWRIGHT_STORAGE` (`texture` or `buffer`).
 *
 * @throws {NoAdapterError} If WebGPU finds no adapter.
 * @throws {InputError} If the requested storage class is not available, or the thread has opened another adapter.
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  const adapter = await requestAdapter(options.adapter ?? await preferredAdapter());
  const { description, vendor, device, software } = factsOf(adapter);
  const gpu = await adapter.requestDevice({ requiredLimits: limitsOf(adapter) });
  let failure: Error | null = null;
  let closed = false;
  gpu.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    failure ??= new Error(`The GPU reported an error: ${(event as GPUUncapturedErrorEvent).error.message}`);
  });
  gpu.lost.then((info) => {
    if (!closed) failure ??= new DeviceLostError(`The GPU was lost (${info.reason}): ${info.message}`);
  });

  const textures = hasStorageTextures(gpu);
  const storage = storageClass(options.storage, textures, { description, software });
  const zeroOutside = textures ? await readsZeroOutside(gpu) : false;
  return {
    gpu,
    name: `${vendor} ${device} ${description} ${HOST}`.replace(/\s+/g, " ").trim(),
    description,
    software,
    storage,
    zeroOutside,
    bindings: Math.min(
      storage === "texture" ? gpu.limits.maxStorageTexturesPerShaderStage : gpu.limits.maxStorageBuffersPerShaderStage,
      // The uniforms take one.
      gpu.limits.maxBindingsPerBindGroup - 1,
    ),
    tiled: options.tiled ?? (storage === "buffer" && !software),
    staged: storage === "texture" && (options.staged ?? software),
    check() {
      if (failure) throw failure;
    },
    pipelines: new Map(),
    memory: { live: 0, peak: 0 },
    destroy() {
      closed = true;
      gpu.destroy();
    },
  };
}

/** The limits of an adapter that concern resources and dispatches. */
function limitsOf({ limits }: GPUAdapter): Record<string, number> {
  const all: Record<string, number> = {};
  for (const key in limits) {
    const value = (limits as unknown as Record<string, unknown>)[key];
    if (typeof value === "number" && /^max(Texture|Storage|Buffer|Compute|Bindings|Uniform)/.test(key)) {
      all[key] = value;
    }
  }
  return all;
}

/** True if tensors can be storage textures. */
function hasStorageTextures(gpu: GPUDevice): boolean {
  return languageFeatures(navigator.gpu).has("readonly_and_readwrite_storage_textures") &&
    gpu.limits.maxStorageTexturesPerShaderStage >= 8;
}

/** The storage class of tensors: the requested one, or else the faster one on the adapter. */
function storageClass(
  requested: DeviceOptions["storage"],
  textures: boolean,
  { description, software }: Pick<AdapterFacts, "description" | "software">,
): Device["storage"] {
  const asked = requested ?? (environment("FACEWRIGHT_STORAGE") as DeviceOptions["storage"]) ?? "auto";
  if (!["auto", "texture", "buffer"].includes(asked)) {
    throw new InputError(`Cannot use storage class "${asked}": it is auto, texture or buffer`);
  }
  if (asked === "texture" && !textures) {
    throw new InputError(`Cannot use storage class "texture" on ${description}`, { hint: `use "buffer"` });
  }
  if (asked !== "auto") return asked;
  return textures && software ? "texture" : "buffer";
}

/** WGSL does not define the value of a read outside a texture; most drivers give zero. */
async function readsZeroOutside(gpu: GPUDevice): Promise<boolean> {
  const texture = gpu.createTexture({
    size: [1024, 2],
    format: "rgba32float",
    usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
  });
  gpu.queue.writeTexture({ texture }, new Float32Array(8192).fill(1), { bytesPerRow: 16384 }, [1024, 2]);
  const code = `
    @group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
    @group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
    @compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) {
      let i = i32(id.x) - 1 - 2048 * i32(id.y);
      let v = textureLoad(x, vec2i(i & 1023, i >> 10));
      if (id.x == 0u) { y[0] = v; }
    }`;
  const out = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const back = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const pipeline = gpu.createComputePipeline({
    layout: "auto",
    compute: { module: gpu.createShaderModule({ code }), entryPoint: "main" },
  });
  const entries = [{ buffer: out }, texture.createView()].map((resource, binding) => ({ binding, resource }));
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(out, 0, back, 0, 16);
  gpu.queue.submit([encoder.finish()]);
  await back.mapAsync(GPUMapMode.READ);
  const zeros = new Float32Array(back.getMappedRange()).every((v) => v === 0);
  for (const resource of [texture, out, back]) resource.destroy();
  return zeros;
}

/** `GPU.wgslLanguageFeatures`, which Deno has and its types lack (Deno 2.9.6). */
function languageFeatures(gpu: GPU): ReadonlySet<string> {
  return (gpu as GPU & { wgslLanguageFeatures?: ReadonlySet<string> }).wgslLanguageFeatures ?? new Set();
}
