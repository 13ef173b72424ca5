/**
 * Golden checks of the UNet and the ControlNet.
 *
 * @module
 */

import { z } from "zod";
import { gradients } from "../../ops/autodiff.ts";
import { mse } from "../../ops/mse.ts";
import { adamHyper } from "../../ops/adam.ts";
import { adamUpdates } from "../../ops/optimizer.ts";
import { readConfig } from "../../models/io/config.ts";
import { controlnet, controlnetFormat, copyEncoder, embedHint } from "../../models/diffusion/controlnet.ts";
import { type HostTensors, initialise, type Specs, specsUnder } from "../../models/io/params.ts";
import { unet, unetFormat } from "../../models/diffusion/unet.ts";
import type { Device } from "../../engine/device.ts";
import type { Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { Tensor } from "../../engine/tensor.ts";
import { type GoldenCase, type GoldenCheck, numbersIn, parsePart, tensorOf } from "./case.ts";
import { exact } from "./compare.ts";
import { hostParametersOf } from "./layout.ts";
import { networkCheck } from "./network.ts";

/** A UNet: output, loss and gradients. */
export const unetCheck: GoldenCheck = networkCheck(({ c, input, scope }) => {
  const config = readConfig(unetFormat, c.json["config"], c.name);
  const inputs = { sample: input("sample"), timesteps: input("timesteps"), context: input("context") };
  const output = unet(scope(), config, inputs);
  const loss = mse(output, input("target"));
  return { outputs: { "output/sample": output, "loss/mse": loss }, loss };
});

const configs = z.strictObject({ unet: z.unknown(), controlnet: z.unknown() });

/** A ControlNet with its UNet: residuals, scale, guess mode, gradients, and the losses of a few steps of AdamW. */
export const controlnetCheck: GoldenCheck = (c, device) =>
  networkCheck(({ want, graph, specs, input, scope }) => {
    const given = parsePart(c, configs);
    const unetConfig = readConfig(unetFormat, given.unet, c.name);
    const config = readConfig(controlnetFormat, given.controlnet, c.name);
    const inputs = { sample: input("sample"), timesteps: input("timesteps"), context: input("context") };
    const [base, control, cond] = [scope("unet/"), scope("controlnet/"), input("cond")];

    const residuals = controlnet(control, config, inputs, cond);
    const guess = controlnet(control, config, inputs, cond, { guess_mode: true });
    const output = unet(base, unetConfig, inputs, residuals);
    const loss = mse(output, input("target"));
    const outputs: Record<string, Value> = {
      "loss/mse": loss,
      "output/cond_embedding": embedHint(control, config, cond),
      "output/sample": output,
      "output/sample_no_control": unet(base, unetConfig, inputs),
      "output/sample_guess_mode": unet(base, unetConfig, inputs, guess),
      "output/mid_residual": residuals.mid,
      "output/guess_mid_residual": guess.mid,
    };
    for (const name of want.keys()) {
      const scale = /^output\/sample_scale_([\d.]+)$/.exec(name)?.[1];
      if (!scale) continue;
      const scaled = controlnet(control, config, inputs, cond, { scale: Number(scale) });
      outputs[name] = unet(base, unetConfig, inputs, scaled);
    }
    residuals.down.forEach((value, k) => outputs[`output/down_residual.${k}`] = value);
    guess.down.forEach((value, k) => outputs[`output/guess_down_residual.${k}`] = value);
    const zero = (c.json["grad_exactly_zero"] ?? []) as string[];
    const trainable = new Map(
      [...graph.parameters].filter(([name]) => name.startsWith("controlnet/")),
    );
    return {
      outputs,
      loss,
      grad_prefix: "controlnet/",
      start: () => startingValues(c, specs, want),
      async after({ got, parameters, data }) {
        const steps = tensorOf(want, "train/losses").data.length;
        got.set("train/losses", Float32Array.from(await train(c, device, loss, trainable, parameters, data, steps)));
        const wrong = zero.find((name) =>
          !got.has(`grad/${name}`) || Array.from(got.get(`grad/${name}`) ?? []).some((x) => x !== 0)
        );
        return [{ ...exact("zero gradients", wrong === undefined), tensor: wrong ?? "" }];
      },
    };
  })(c, device);

/** The case's parameters; a ControlNet copied from its UNet is copied here too, which is checked along the way. */
async function startingValues(
  c: GoldenCase,
  specs: Specs,
  want: ReadonlyMap<string, TensorData>,
): Promise<HostTensors> {
  if (c.json["controlnet_params_equal_to_unet_by_name"] === undefined) return await hostParametersOf(c, specs, want);
  const there = (name: string) => want.has(`param/${name}`);
  const given = await hostParametersOf(c, new Map([...specs].filter(([name]) => there(name))), want);
  const control = specsUnder(specs, "controlnet/");
  const start = initialise(control, 1);
  copyEncoder(start, given, control);
  return new Map([...start, ...given]);
}

const trainSchema = z.strictObject({
  lr: z.number(),
  betas: z.tuple([z.number(), z.number()]),
  eps: z.number(),
  weight_decay: z.number(),
});

/** The options of AdamW, from `train` or from the words of the procedure. */
function trainOptions(c: GoldenCase) {
  if (c.json["train"] !== undefined) {
    const { betas: [beta1, beta2], ...options } = parsePart(c, trainSchema, "train");
    return { ...options, beta1, beta2 };
  }
  const number = "[\\d.e-]*[\\de]";
  return numbersIn(
    c.json["procedure"],
    new RegExp(
      `\\(lr (?<lr>${number}), betas (?<beta1>${number})/(?<beta2>${number}), eps (?<eps>${number}), ` +
        `weight_decay (?<weight_decay>${number})\\)`,
    ),
    "the options of AdamW",
  ) as { lr: number; beta1: number; beta2: number; eps: number; weight_decay: number };
}

/** Losses before each of some steps of AdamW. */
async function train(
  c: GoldenCase,
  device: Device,
  loss: Value,
  trainable: ReadonlyMap<string, Value>,
  parameters: ReadonlyMap<string, Tensor>,
  data: Record<string, Float32Array>,
  steps: number,
): Promise<number[]> {
  const { graph } = loss;
  const { updates } = adamUpdates(graph, trainable, gradients(loss, [...trainable.values()]));
  const state = new Map<string, Tensor>();
  for (const [name, { shape }] of graph.parameters) {
    if (!parameters.has(name)) state.set(name, new Tensor(device, shape));
  }
  const exe = new Executable(device, { outputs: { loss }, updates }, new Map([...parameters, ...state]));
  const losses: number[] = [];
  const options = trainOptions(c);
  for (let step = 0; step < steps; step++) {
    exe.run({ ...data, "adam.hyper": adamHyper(step, options) });
    losses.push(...await exe.read("loss"));
  }
  exe.destroy();
  for (const tensor of state.values()) tensor.destroy();
  return losses;
}
