/**
 * jax-js on WebGPU, programs compiled by its `jit`. Channels come first there: arrays are turned outside the timing.
 *
 * @module
 */

import { itemAt } from "../../engine/lookup.ts";
import { dims, elements, extent, type Shape } from "../../engine/graph.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { CannotDo, inputOf, kindOf, load, type Peer, type Ready, type Task } from "./peer.ts";

const JAX = "npm:@jax-js/jax@0.1.25";

/** An array; what is given to a function is used up, `ref` is one more reference to it. */
interface JaxArray {
  readonly shape: number[];
  readonly ref: JaxArray;
  data(): Promise<Float32Array>;
  dispose(): void;
}
type Operation = (...x: JaxArray[]) => JaxArray;
type Program = (...x: JaxArray[]) => JaxArray[];

/** The used part of it. */
interface Jax {
  init(device: string): Promise<string[]>;
  defaultDevice(device: string): string;
  getWebGPUDevice(): GPUDevice;
  blockUntilReady(x: readonly JaxArray[]): Promise<unknown>;
  jit(program: Program): Program & { dispose(): void };
  vjp(run: Operation, at: readonly JaxArray[]): [y: JaxArray, pull: (dy: JaxArray) => JaxArray[]];
  readonly numpy: { array(data: Float32Array, options: { shape: Shape }): JaxArray; matmul: Operation };
  readonly lax: {
    convGeneralDilated(x: JaxArray, f: JaxArray, strides: readonly number[], padding: readonly number[][]): JaxArray;
  };
  readonly nn: { dotProductAttention: Operation };
}

/** Implementation of a task. */
interface Recipe {
  /** Arguments of the program, in the layout there. */
  readonly args: readonly TensorData[];
  readonly program: Program;
  /** Results in the order of the program's; `order` turns their axes back. */
  readonly results: readonly { readonly name: string; readonly order?: readonly number[] }[];
}

const MAPS_THERE = [0, 3, 1, 2], MAPS_BACK = [0, 2, 3, 1];
const FILTERS_THERE = [3, 2, 0, 1], FILTERS_BACK = [2, 3, 1, 0];

function recipeOf(jax: Jax, task: Task): Recipe {
  const conv = (x: JaxArray, f: JaxArray) => jax.lax.convGeneralDilated(x, f, [1, 1], [[1, 1], [1, 1]]);
  /** Gradients alone: `jit` drops what only the value needs. */
  const back = (run: Operation, at: readonly JaxArray[], dy: JaxArray) => {
    const [y, pull] = jax.vjp(run, at);
    y.dispose();
    return pull(dy);
  };
  const given = (name: string) => inputOf(task, name);
  const maps = (name: string) => turned(given(name), MAPS_THERE);
  const heads = (name: string): TensorData => {
    const { data, shape } = given(name);
    const { N, L, width } = dims(shape, "N L width");
    return { data, shape: [N, L, task.heads, width / task.heads] };
  };
  switch (kindOf(task)) {
    case "conv2d.forward":
      return {
        args: [maps("x"), turned(given("f"), FILTERS_THERE)],
        program: (x: JaxArray, f: JaxArray) => [conv(x, f)],
        results: [{ name: "y", order: MAPS_BACK }],
      };
    case "conv2d.backward_input":
      // A gradient is taken at some x; which, is all the same.
      return {
        args: [maps("dy"), turned(given("f"), FILTERS_THERE), maps("dy")],
        program: (x: JaxArray, f: JaxArray, dy: JaxArray) => back((x: JaxArray) => conv(x, f), [x], dy),
        results: [{ name: "y", order: MAPS_BACK }],
      };
    case "conv2d.backward_weight": {
      const [I, O] = [extent(given("x").shape, 3), extent(given("dy").shape, 3)];
      return {
        args: [maps("x"), { shape: [O, I, 3, 3], data: new Float32Array(9 * O * I) }, maps("dy")],
        program: (x: JaxArray, f: JaxArray, dy: JaxArray) => back((f: JaxArray) => conv(x, f), [f], dy),
        results: [{ name: "y", order: FILTERS_BACK }],
      };
    }
    case "matmul":
      return {
        args: [given("a"), given("b")],
        program: (a: JaxArray, b: JaxArray) => [jax.numpy.matmul(a, b)],
        results: [{ name: "y" }],
      };
    case "attention.forward":
      return {
        args: ["q", "k", "v"].map(heads),
        program: (...qkv) => [jax.nn.dotProductAttention(...qkv)],
        results: [{ name: "y" }],
      };
    case "attention.backward":
      return {
        args: ["q", "k", "v", "dy"].map(heads),
        program: (q: JaxArray, k: JaxArray, v: JaxArray, dy: JaxArray) =>
          back(jax.nn.dotProductAttention, [q, k, v], dy),
        results: [{ name: "dq" }, { name: "dk" }, { name: "dv" }],
      };
    default:
      throw new CannotDo("the network is not written in it");
  }
}

/** A tensor with its axes in another order. */
function turned({ data, shape }: TensorData, order: readonly number[]): TensorData {
  const axes = order.map((axis) => ({ size: extent(shape, axis), stride: elements(shape.slice(axis + 1)) }));
  const innermostFirst = axes.toReversed();
  const out = new Float32Array(data.length);
  for (let k = 0; k < out.length; k++) {
    let rest = k, from = 0;
    for (const { size, stride } of innermostFirst) {
      from += (rest % size) * stride;
      rest = Math.floor(rest / size);
    }
    out[k] = data[from]!;
  }
  return { data: out, shape: axes.map(({ size }) => size) };
}

/** jax-js. */
export const jax: Peer = {
  name: "jax-js-webgpu",
  packages: [JAX],
  async open() {
    const jax = await load<Jax>(JAX);
    if (!(await jax.init("webgpu")).includes("webgpu")) throw new CannotDo("its WebGPU backend does not start");
    jax.defaultDevice("webgpu");
    return { adapter: jax.getWebGPUDevice().adapterInfo.description, prepare: (task) => prepare(jax, task) };
  },
};

function prepare(jax: Jax, task: Task): Ready {
  const recipe = recipeOf(jax, task);
  const args = recipe.args.map(({ data, shape }) => jax.numpy.array(data, { shape }));
  const program = jax.jit(recipe.program);
  // Arrays are lazy: those that are disposed of before something waits for them are never computed. So the results of
  // all runs are kept until they are waited for.
  const runs: JaxArray[][] = [];
  const free = (keep: number) =>
    runs.splice(0, runs.length - keep).forEach((results) => results.forEach((array) => array.dispose()));
  return {
    run() {
      runs.push(program(...args.map((array) => array.ref)));
    },
    async wait() {
      await jax.blockUntilReady(runs.flat());
      free(1);
    },
    async read() {
      const read: Record<string, Float32Array> = {};
      for (const [k, { name, order }] of recipe.results.entries()) {
        const result = itemAt(itemAt(runs, runs.length - 1, "runs"), k, "results");
        const { shape } = result;
        const data = await result.ref.data();
        read[name] = order ? turned({ data, shape }, order).data : data;
      }
      return read;
    },
    destroy() {
      free(0);
      args.forEach((array) => array.dispose());
      program.dispose();
    },
  };
}
