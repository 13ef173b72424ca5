/**
 * TensorFlow.js on its WebGPU backend. Its layouts are ours: channels last, filters `[KH, KW, I, O]`.
 *
 * @module
 */

import { lookUp } from "../../engine/lookup.ts";
import { dims, extent } from "../../engine/graph.ts";
import { CannotDo, kindOf, load, type Peer, type Ready, type Task } from "./peer.ts";

const CORE = "npm:@tensorflow/tfjs-core@4.22.0", BACKEND = "npm:@tensorflow/tfjs-backend-webgpu@4.22.0";

interface TfTensor {
  readonly shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

/** The used part of it. */
interface Tf {
  setBackend(name: string): Promise<boolean>;
  backend(): {
    readonly device: GPUDevice;
    ensureCommandEncoderReady(): void;
    endComputePassEncoder(): void;
    submitQueue(): void;
  };
  tensor(data: Float32Array, shape: readonly number[]): TfTensor;
  tidy<T>(run: () => T): T;
  conv2d(x: TfTensor, filter: TfTensor, strides: number, pad: "same"): TfTensor;
  conv2dTranspose(dy: TfTensor, filter: TfTensor, shape: readonly number[], strides: number, pad: "same"): TfTensor;
  engine(): { runKernel(name: string, inputs: Record<string, TfTensor>, attrs: Record<string, unknown>): TfTensor };
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  transpose(x: TfTensor, perm: readonly number[]): TfTensor;
  mul(x: TfTensor, y: TfTensor | number): TfTensor;
  sub(x: TfTensor, y: TfTensor): TfTensor;
  sum(x: TfTensor, axis: number, keepDims: boolean): TfTensor;
  softmax(x: TfTensor): TfTensor;
}

/** An input of a task by name. */
type Input = (name: string) => TfTensor;

/** `softmax(Q K^T / sqrt(D)) V` head by head, of `[N, L, H * D]`; with its gradients if `backward` is true. */
function attention(tf: Tf, heads: number, input: Input, backward: boolean): Record<string, TfTensor> {
  const { N, L, width } = dims(input("q"), "N L width");
  const scale = 1 / Math.sqrt(width / heads);
  const split = (x: TfTensor) => tf.transpose(tf.reshape(x, [N, extent(x, 1), heads, width / heads]), [0, 2, 1, 3]);
  const merge = (x: TfTensor) => tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [N, L, width]);
  const [q, k, v] = [split(input("q")), split(input("k")), split(input("v"))];
  const p = tf.softmax(tf.mul(tf.matMul(q, k, false, true), scale));
  const y = merge(tf.matMul(p, v));
  if (!backward) return { y };
  // Spelled out: what differentiates comes with the rest of TensorFlow.js only, a download several times as large.
  const dy = split(input("dy"));
  const dp = tf.matMul(dy, v, false, true);
  const ds = tf.mul(tf.mul(p, tf.sub(dp, tf.sum(tf.mul(dp, p), -1, true))), scale);
  return {
    y,
    dq: merge(tf.matMul(ds, k)),
    dk: merge(tf.matMul(ds, q, true)),
    dv: merge(tf.matMul(p, dy, true)),
  };
}

/** Implementation of each task: results by name. */
function programs(tf: Tf, { heads }: Task): Record<string, (input: Input) => Record<string, TfTensor>> {
  return {
    "conv2d.forward": (input) => ({ y: tf.conv2d(input("x"), input("f"), 1, "same") }),
    "conv2d.backward_input": (input) => ({
      y: tf.conv2dTranspose(input("dy"), input("f"), input("dy").shape, 1, "same"),
    }),
    "conv2d.backward_weight": (input) => ({
      y: tf.engine().runKernel("Conv2DBackpropFilter", { x: input("x"), dy: input("dy") }, {
        strides: [1, 1],
        pad: "same",
        dataFormat: "NHWC",
        filterShape: [3, 3, extent(input("x"), 3), extent(input("dy"), 3)],
      }),
    }),
    matmul: (input) => ({ y: tf.matMul(input("a"), input("b")) }),
    "attention.forward": (input) => attention(tf, heads, input, false),
    "attention.backward": (input) => attention(tf, heads, input, true),
  };
}

/** TensorFlow.js. */
export const tensorflow: Peer = {
  name: "tfjs-webgpu",
  packages: [CORE, BACKEND],
  async open() {
    const tf = await load<Tf>(CORE);
    await load(BACKEND);
    if (!await tf.setBackend("webgpu")) throw new CannotDo("its WebGPU backend does not start");
    const { device } = tf.backend();
    return { adapter: device.adapterInfo.description, prepare: (task) => prepare(tf, task) };
  },
};

function prepare(tf: Tf, task: Task): Ready {
  const program = programs(tf, task)[kindOf(task)];
  if (!program) throw new CannotDo("the network is not written in it");
  const inputs = new Map(
    Object.entries(task.inputs).map(([name, { data, shape }]) => [name, tf.tensor(data, shape)]),
  );
  let results: Record<string, TfTensor> = {};
  const free = () => Object.values(results).forEach((tensor) => tensor.dispose());
  return {
    run() {
      free();
      results = tf.tidy(() => program((name) => lookUp(inputs, name, "inputs of the task")));
    },
    async wait() {
      // It collects dispatches until somebody asks for data.
      const backend = tf.backend();
      backend.ensureCommandEncoderReady();
      backend.endComputePassEncoder();
      backend.submitQueue();
      await backend.device.queue.onSubmittedWorkDone();
    },
    async read() {
      const entries = Object.entries(results).map(async ([name, tensor]) => [name, await tensor.data()] as const);
      return Object.fromEntries(await Promise.all(entries));
    },
    destroy() {
      free();
      for (const tensor of inputs.values()) tensor.dispose();
    },
  };
}
