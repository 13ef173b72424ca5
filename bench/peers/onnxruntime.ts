/**
 * ONNX Runtime Web: its WebGPU provider, and its WebAssembly one with SIMD and two threads. It only infers, from files
 * that `models/io/onnx.ts` writes.
 *
 * @module
 */

import { onnxModel } from "../../models/io/onnx.ts";
import type { Shape } from "../../engine/graph.ts";
import { CannotDo, kindOf, load, type OpenPeer, type Peer, type Ready, type Task } from "./peer.ts";

const PACKAGE = "npm:onnxruntime-web@1.22.0";
const THREADS = 2;
/** Errors only; that some nodes stay on the processor is checked in another way. */
const LOG_LEVEL = 3;

interface OrtTensor {
  readonly data: Float32Array;
  getData(): Promise<Float32Array>;
  dispose(): void;
}
interface OrtSession {
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

/** The used part of it. */
interface Ort {
  readonly env: {
    logLevel: string;
    readonly wasm: { numThreads: number };
    readonly webgpu: { readonly device: Promise<GPUDevice> | GPUDevice; adapter?: GPUAdapter };
  };
  readonly Tensor: {
    new (type: "float32", data: Float32Array, shape: Shape): OrtTensor;
    fromGpuBuffer(buffer: GPUBuffer, options: { dataType: "float32"; dims: Shape }): OrtTensor;
  };
  readonly InferenceSession: { create(file: Uint8Array, options: Record<string, unknown>): Promise<OrtSession> };
}

/** Tasks of inference: the rest needs gradients. */
const INFERENCE = ["conv2d.forward", "matmul", "attention.forward", "unet.forward"];

/** ONNX Runtime Web on WebGPU. */
export const onnxWebgpu: Peer = {
  name: "ort-webgpu",
  packages: [PACKAGE],
  async open() {
    const ort = await load<Ort>(`${PACKAGE}/webgpu`);
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) throw new CannotDo("there is no adapter");
    ort.env.webgpu.adapter = adapter;
    return { adapter: adapter.info.description, prepare: (task) => prepareWebgpu(ort, task) };
  },
};

/** ONNX Runtime Web on the processor. */
export const onnxWasm: Peer = {
  name: "ort-wasm",
  packages: [PACKAGE],
  async open(): Promise<OpenPeer> {
    const ort = await load<Ort>(PACKAGE);
    ort.env.wasm.numThreads = THREADS;
    return { adapter: null, prepare: (task) => prepareWasm(ort, task) };
  },
};

function session(ort: Ort, task: Task, options: Record<string, unknown>): Promise<OrtSession> {
  if (!INFERENCE.includes(kindOf(task))) throw new CannotDo("it computes no gradients");
  const file = onnxModel(task.fetches.outputs, task.weights, { name: task.name, doc: "A case of the bench." });
  return ort.InferenceSession.create(file, { logSeverityLevel: LOG_LEVEL, ...options });
}

async function prepareWasm(ort: Ort, task: Task): Promise<Ready> {
  const running = await session(ort, task, { executionProviders: ["wasm"] });
  const feeds = Object.fromEntries(
    Object.entries(task.inputs).map(([name, { data, shape }]) => [name, new ort.Tensor("float32", data, shape)]),
  );
  let results: Record<string, OrtTensor> = {};
  return {
    async run() {
      results = await running.run(feeds);
    },
    wait: () => Promise.resolve(),
    read: () => Promise.resolve(Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data]))),
    destroy: () => void running.release(),
  };
}

/** Inputs and results stay on the GPU. */
async function prepareWebgpu(ort: Ort, task: Task): Promise<Ready> {
  const running = await session(ort, task, {
    executionProviders: ["webgpu"],
    preferredOutputLocation: "gpu-buffer",
  });
  const device = await ort.env.webgpu.device;
  const buffers: GPUBuffer[] = [];
  const feeds: Record<string, OrtTensor> = {};
  for (const [name, { data, shape }] of Object.entries(task.inputs)) {
    const buffer = device.createBuffer({
      // Its kernels read buffers by 16 bytes.
      size: Math.ceil(data.byteLength / 16) * 16,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
    device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
    buffers.push(buffer);
    feeds[name] = ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims: shape });
  }
  let results: Record<string, OrtTensor> = {};
  const free = () => Object.values(results).forEach((tensor) => tensor.dispose());
  return {
    async run() {
      free();
      results = await running.run(feeds);
    },
    wait: () => device.queue.onSubmittedWorkDone(),
    async read() {
      const read: Record<string, Float32Array> = {};
      for (const [name, tensor] of Object.entries(results)) read[name] = await tensor.getData();
      return read;
    },
    destroy() {
      free();
      for (const buffer of buffers) buffer.destroy();
      void running.release();
    },
  };
}
