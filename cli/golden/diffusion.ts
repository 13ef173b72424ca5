/**
 * Golden checks of the UNet and the ControlNet.
 *
 * @module
 */

import { gradients } from "../../ops/autodiff.ts";
import { mul } from "../../ops/mul.ts";
import { adamHyper, adamUpdates } from "../../ops/optimizer.ts";
import { sub } from "../../ops/sub.ts";
import { mean } from "../../ops/sum.ts";
import { readConfig } from "../../models/io/config.ts";
import { controlnet, controlnetFormat, copyEncoder, embedHint } from "../../models/diffusion/controlnet.ts";
import {
  createParameters,
  initialise,
  type ParameterSpec,
  Scope,
  type Specs,
  specsUnder,
} from "../../models/io/params.ts";
import { unet, unetFormat } from "../../models/diffusion/unet.ts";
import type { Device } from "../../engine/device.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { Tensor } from "../../engine/tensor.ts";
import { allTensors, compareGroups, exact, type GoldenCheck, hostParametersOf, inputsOf, readOutputs } from "./case.ts";

/** `mean((a - b)^2)`. */
function meanSquare(a: Value, b: Value): Value {
  const d = sub(a, b);
  return mean(mul(d, d));
}

/** A UNet: output, loss and gradients. */
export const unetCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { values, data } = inputsOf(graph, want);
  const { sample, timesteps, context, target } = values as Record<string, Value>;
  const config = readConfig(unetFormat, c.json.config, c.name);
  const output = unet(new Scope(graph, specs), config, { sample: sample!, timesteps: timesteps!, context: context! });
  const loss = meanSquare(output, target!);

  const outputs: Record<string, Value> = { "output/sample": output, "loss/mse": loss };
  const names = [...want.keys()].filter((name) => /^grad(in)?\//.test(name));
  const wrt = names.map((name) => {
    const of = name.slice(name.indexOf("/") + 1);
    return name.startsWith("gradin/") ? values[of]! : graph.parameters.get(of)!;
  });
  gradients(loss, wrt).forEach((dx, k) => outputs[names[k]!] = dx);

  const parameters = createParameters(device, specs, await hostParametersOf(specs, want));
  const exe = new Executable(device, { outputs }, parameters);
  exe.run(data);
  const got = await readOutputs(
    exe,
    outputs,
    (name) => name.startsWith("grad/") ? specs.get(name.slice(5)) : undefined,
  );
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  return compareGroups(c, want, got);
};

/** A ControlNet with its UNet: residuals, scale, guess mode, gradients, and the losses of a few steps of AdamW. */
export const controlnetCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { values, data } = inputsOf(graph, want);
  const { sample, timesteps, context, target, cond } = values as Record<string, Value>;
  const inputs = { sample: sample!, timesteps: timesteps!, context: context! };
  const unetConfig = readConfig(unetFormat, c.json.config.unet, c.name);
  const config = readConfig(controlnetFormat, c.json.config.controlnet, c.name);
  const [base, control] = [new Scope(graph, specs, "unet/"), new Scope(graph, specs, "controlnet/")];

  const residuals = controlnet(control, config, inputs, cond!);
  const guess = controlnet(control, config, inputs, cond!, { guess_mode: true });
  const output = unet(base, unetConfig, inputs, residuals);
  const loss = meanSquare(output, target!);
  const outputs: Record<string, Value> = {
    "loss/mse": loss,
    "output/cond_embedding": embedHint(control, config, cond!),
    "output/sample": output,
    "output/sample_no_control": unet(base, unetConfig, inputs),
    "output/sample_scale_0.6": unet(
      base,
      unetConfig,
      inputs,
      controlnet(control, config, inputs, cond!, { scale: 0.6 }),
    ),
    "output/sample_guess_mode": unet(base, unetConfig, inputs, guess),
    "output/mid_residual": residuals.mid,
    "output/guess_mid_residual": guess.mid,
  };
  residuals.down.forEach((value, k) => outputs[`output/down_residual.${k}`] = value);
  guess.down.forEach((value, k) => outputs[`output/guess_down_residual.${k}`] = value);
  const trainable = new Map([...specsUnder(specs, "controlnet/").keys()].map((n) => [n, graph.parameters.get(n)!]));
  const grads = gradients(loss, [...trainable.values()]);
  const wanted = [...trainable.keys()].map((name) => `grad/${name.slice("controlnet/".length)}`);
  wanted.forEach((name, k) => outputs[name] = grads[k]!);

  const host = await startingValues(specs, want, c.json.controlnet_params_equal_to_unet_by_name !== undefined);
  const parameters = createParameters(device, specs, host);
  const exe = new Executable(device, { outputs }, parameters);
  exe.run(data);
  const specOf = (name: string) => specs.get(name.replace("grad/", "controlnet/"));
  const got = await readOutputs(exe, outputs, (name) => name.startsWith("grad/") ? specOf(name) : undefined);
  exe.destroy();

  const losses = await train(
    device,
    graph,
    loss,
    trainable,
    grads,
    parameters,
    data,
    want.get("train/losses")!.data.length,
  );
  for (const tensor of parameters.values()) tensor.destroy();
  const zero = ((c.json.grad_exactly_zero ?? []) as string[]).filter((name) =>
    got.get(`grad/${name}`)?.some((x) => x !== 0)
  );
  return [
    ...compareGroups(c, want, got.set("train/losses", Float32Array.from(losses))),
    { ...exact("zero gradients", !zero.length), tensor: zero[0] ?? "" },
  ];
};

/** The case's parameters; a ControlNet copied from its UNet is copied here too, which is checked along the way. */
async function startingValues(specs: Specs, want: ReadonlyMap<string, TensorData>, copied: boolean) {
  if (!copied) return await hostParametersOf(specs, want);
  const there = (name: string) => want.has(`param/${name}`);
  const given = await hostParametersOf(new Map([...specs].filter(([name]) => there(name))), want);
  const control = specsUnder(specs, "controlnet/");
  const start = initialise(control, 1);
  copyEncoder(start, given, control);
  return new Map([...start, ...given]);
}

/** Losses before each of some steps of AdamW. */
async function train(
  device: Device,
  graph: Graph,
  loss: Value,
  trainable: ReadonlyMap<string, Value>,
  grads: readonly Value[],
  parameters: ReadonlyMap<string, Tensor>,
  data: Record<string, Float32Array>,
  steps: number,
): Promise<number[]> {
  const { updates } = adamUpdates(graph, trainable, grads);
  const state = new Map<string, Tensor>();
  for (const [name, { shape }] of graph.parameters) {
    if (!parameters.has(name)) state.set(name, new Tensor(device, shape));
  }
  const exe = new Executable(device, { outputs: { loss }, updates }, new Map([...parameters, ...state]));
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    exe.run({ ...data, "adam.hyper": adamHyper(step, { lr: 1e-3, weight_decay: 1e-2 }) });
    losses.push((await exe.read("loss"))[0]!);
  }
  exe.destroy();
  for (const tensor of state.values()) tensor.destroy();
  return losses;
}
