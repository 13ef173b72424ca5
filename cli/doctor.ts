/**
 * The command `doctor`: the adapter, its limits, and whether kernels compute on it what they must.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { add } from "../ops/add.ts";
import { conv2d } from "../ops/conv2d.ts";
import { matmul } from "../ops/matmul.ts";
import { silu } from "../ops/silu.ts";
import { sum } from "../ops/sum.ts";
import { itemAt, lookUp } from "../engine/lookup.ts";
import { listAdapters, missingDrivers } from "../engine/adapters.ts";
import { type Device, NoAdapterError, noAdapterMessage } from "../engine/device.ts";
import { gpuOption, openChosen } from "./_device.ts";
import { elements, type F64, Graph, topological, type Value } from "../engine/graph.ts";
import { Executable } from "../engine/executable.ts";
import { type Context, Exit } from "./command.ts";

/** A graph whose result is known from the ops' f64 references. */
interface Check {
  readonly name: string;
  build(graph: Graph): Value;
  /** Value of an input by element number. */
  fill?(element: number): number;
}

const checks: readonly Check[] = [
  { name: "silu", build: (g) => silu(g.input("x", [3, 1001])) },
  { name: "sum", build: (g) => sum(g.input("x", [7, 513])) },
  { name: "matmul", build: (g) => matmul(g.input("a", [65, 97]), g.input("b", [97, 33])) },
  {
    name: "conv2d 3x3",
    build: (g) => conv2d(g.input("x", [2, 17, 15, 12]), g.input("w", [3, 3, 12, 20]), { padding: 1 }),
  },
  // Some drivers lose values that are not finite, and a loss that diverges would go unseen.
  { name: "not a number", build: (g) => add(g.input("x", [9]), g.input("y", [9])), fill: (i) => i % 3 ? NaN : i },
  { name: "infinity", build: (g) => add(g.input("x", [9]), g.input("y", [9])), fill: (i) => i % 3 ? -Infinity : i },
];

/** Declares `doctor`; the exit code is 1 if a kernel is wrong. */
export const doctor = (context: Context) =>
  new Command()
    .option("--list", "list the adapters of this machine, and compute nothing")
    .addOption(new Option("--json", "print the list as JSON").implies({ list: true }))
    .addOption(gpuOption())
    .addHelpText("after", "\nExample:\n  deno task doctor --list")
    .action(({ list, json, gpu }) => list ? printAdapters(json ?? false, context) : examine(gpu, context));

/** Prints the adapters with the numbers that `--gpu` takes. */
async function printAdapters(json: boolean, { print }: Context): Promise<void> {
  const adapters = await listAdapters();
  if (json) return print(JSON.stringify(adapters));
  for (const path of missingDrivers()) print(`VK_DRIVER_FILES names ${path}, where there is nothing\n`);
  if (!adapters.length) throw new NoAdapterError(noAdapterMessage());
  for (const [k, adapter] of adapters.entries()) {
    const { description, software, driver, driver_version, address, memory, limits, features, selection } = adapter;
    const from = [driver ?? "chosen by the host", driver_version && `version ${driver_version}`, address];
    print(`${k}: ${description}${software ? ", a software driver" : ""}`);
    print(`   driver    ${from.filter(Boolean).join(", ")}`);
    print(
      `   memory    ${memory === null ? "unknown" : mib(memory)}${software ? " of the machine" : ""}; ${sizes(limits)}`,
    );
    print(`   workgroup ${workgroup(limits)}`);
    print(`   features  ${features.join(", ") || "none"}`);
    if (!selection) print("   cannot be chosen: Vulkan does not tell it from others of its model, see docs/servers.md");
  }
}

async function examine(gpu: string | undefined, context: Context): Promise<void> {
  const { print } = context;
  const device = await openChosen(gpu, context);
  const { features, limits } = device.gpu;
  print(`adapter   ${device.name}`);
  print(`storage   ${device.storage} class, ${device.bindings} tensors a dispatch`);
  print(`features  ${[...features].sort().join(", ") || "none"}`);
  print(`memory    ${sizes(limits)}`);
  print(`workgroup ${workgroup(limits)}`);
  let wrong = 0;
  try {
    for (const check of checks) {
      const error = await worstError(device, check);
      const good = error < 1e-5;
      if (!good) wrong++;
      print(`${good ? "ok   " : "WRONG"} ${check.name.padEnd(14)} error ${error.toExponential(1)}`);
    }
  } finally {
    device.destroy();
  }
  print(
    wrong
      ? `${wrong} of ${checks.length} kernels are wrong on this adapter, hint: try FACEWRIGHT_STORAGE=buffer or another driver`
      : "all is well",
  );
  if (wrong) throw new Exit(1);
}

type Limits = Readonly<Record<string, number>> | GPUSupportedLimits;

function sizes({ maxBufferSize, maxStorageBufferBindingSize, maxTextureDimension2D }: Limits): string {
  const bindings = mib(maxStorageBufferBindingSize!);
  return `buffers to ${mib(maxBufferSize!)}, bindings to ${bindings}, textures to ${maxTextureDimension2D} px`;
}

function workgroup({ maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize }: Limits): string {
  return `${maxComputeInvocationsPerWorkgroup} invocations, ${maxComputeWorkgroupStorageSize} bytes`;
}

const mib = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`;

/** Largest difference from the reference as a part of its largest magnitude; infinite if NaN or infinity is not kept. */
async function worstError(device: Device, { build, fill }: Check): Promise<number> {
  const graph = new Graph();
  const y = build(graph);
  const inputs = Object.fromEntries(
    [...graph.inputs].map(([name, { shape }], k) => [
      name,
      Float32Array.from({ length: elements(shape) }, (_, i) => fill?.(i) ?? Math.sin(1 + i * (12.9 + k))),
    ]),
  );
  const executable = new Executable(device, { outputs: { y } });
  executable.run(inputs);
  const got = await executable.read("y");
  executable.destroy();
  device.check();
  const want = evaluate(y, inputs).data;
  const scale = want.reduce((most, value) => Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most, 1e-6);
  const errors = want.map((value, i) => Object.is(value, got[i]) ? 0 : Math.abs(value - got[i]!) / scale);
  return errors.reduce((worst, error) => error <= worst ? worst : Number.isNaN(error) ? Infinity : error, 0);
}

/** The value by the ops' references. */
function evaluate(value: Value, inputs: Readonly<Record<string, Float32Array>>): F64 {
  const known = new Map<Value, F64>();
  for (const { op, leaf, inputs: from, outputs, attrs } of topological([value])) {
    if (leaf?.kind === "parameter") throw new TypeError("Cannot evaluate a graph with parameters");
    const results: readonly F64[] = op ? op.reference(from.map((input) => lookUp(known, input, "results")), attrs) : [{
      shape: itemAt(outputs, 0, "outputs").shape,
      data: Float64Array.from(leaf!.kind === "input" ? inputs[leaf!.name]! : leaf!.data),
    }];
    for (const [k, output] of outputs.entries()) known.set(output, itemAt(results, k, "results"));
  }
  return lookUp(known, value, "results");
}
