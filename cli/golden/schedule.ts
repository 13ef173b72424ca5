/**
 * Golden checks of noise schedules and samplers. Samplers run on the device, as they do when images are made.
 *
 * @module
 */

import { z } from "zod";
import {
  alphasCumprod,
  betas,
  LATENT_SCHEDULE,
  ldmTimesteps,
  makeSchedule,
  noiseLevel,
  type Schedule,
  type ScheduleConfig,
  scheduleFormat,
  targetFactors,
  timesteps,
} from "../../models/diffusion/schedule.ts";
import { clipOf, Sampler } from "../../models/diffusion/sampler.ts";
import { ddimVariance } from "../../models/diffusion/samplers/ddim.ts";
import { ddpmStep, ddpmVariance } from "../../models/diffusion/samplers/ddpm.ts";
import { type SamplerStep, type SamplingMethod, SPACING_NAMES } from "../../models/diffusion/samplers/method.ts";
import { SAMPLER_NAMES, SAMPLERS } from "../../models/diffusion/samplers/registry.ts";
import { readConfig } from "../../models/io/config.ts";
import { readSafetensors, type TensorData } from "../../formats/safetensors.ts";
import { add } from "../../ops/add.ts";
import { affine } from "../../ops/affine.ts";
import { embedding } from "../../ops/embedding.ts";
import { mul } from "../../ops/mul.ts";
import { reshape } from "../../ops/reshape.ts";
import { tanh } from "../../ops/tanh.ts";
import type { Device } from "../../engine/device.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import {
  allTensors,
  type GoldenCase,
  type GoldenCheck,
  type GoldenResult,
  numbersIn,
  parsePart,
  tensorOf,
} from "./case.ts";
import { compareGroups, exact, goldenError } from "./compare.ts";

const scheduleOf = (c: GoldenCase, overrides: Partial<ScheduleConfig> = {}) =>
  makeSchedule(readConfig(scheduleFormat, { ...c.json["config"], ...overrides }, c.name));

const equal = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** Stands for a network: of samples, a function of their time steps, and a number for the condition of each sample. */
type Model = (x: Value, ofTime: (f: (t: number) => number) => Value, condition: Value) => Value;

/** The model in the case's words: `tanh(A*x + B*sin(C*t) + k)`. */
function modelOf(c: GoldenCase): Model {
  const n = "[\\d.]*\\d";
  const { a = NaN, b = NaN, f = NaN } = numbersIn(
    c.json["model_function"],
    new RegExp(`= tanh\\((?<a>${n})\\*x \\+ (?<b>${n})\\*sin\\((?<f>${n})\\*t\\) \\+ k\\)`),
    "the model",
  );
  return (x, ofTime, k) => tanh(add(affine(x, a), add(ofTime((t) => b * Math.sin(f * t)), k)));
}

const guidanceSchema = z.strictObject({
  scale: z.number(),
  k_cond: z.number(),
  k_uncond: z.number(),
  formula: z.string().optional(),
});

type Guidance = z.output<typeof guidanceSchema>;

/** A run of a sampler. */
interface Loop {
  readonly method: SamplingMethod;
  readonly schedule: Schedule;
  readonly steps: readonly SamplerStep[];
  readonly model: Model;
  readonly start: TensorData;
  readonly guidance?: Guidance | null;
  /** Fresh noise of all steps. */
  readonly noise?: TensorData | undefined;
}

/** Samples on a device; every x and x_0 in a row. */
async function sample(device: Device, { method, schedule, steps, model, start, guidance, noise }: Loop) {
  const graph = new Graph();
  const { shape, data } = start;
  const N = shape[0] ?? 1;
  const rows = guidance ? 2 * N : N;
  const column = [rows, ...shape.slice(1).map(() => 1)];
  const conditions = Array.from({ length: rows }, (_, n) => guidance ? n < N ? guidance.k_cond : guidance.k_uncond : 0);
  const sampler = new Sampler(device, {
    method,
    graph,
    shape,
    once: {},
    predict(x, t) {
      const ofTime = (f: (t: number) => number) => {
        const table = Array.from({ length: schedule.config.num_train_timesteps }, (_, t) => f(t));
        return reshape(embedding(graph.constant(table, [table.length, 1]), t), column);
      };
      return model(x, ofTime, graph.constant(conditions, column));
    },
    guided: Boolean(guidance),
    noisy: noise !== undefined,
    clip: clipOf(schedule),
    watched: true,
  }, new Map());
  const all = { x: [] as number[], x0: [] as number[] };
  const final = await sampler.sample({
    start: data,
    steps,
    inputs: {},
    ...guidance && { guidance: guidance.scale },
    ...noise && { noise: (k: number) => noise.data.subarray(k * data.length, (k + 1) * data.length) },
    async each(_, read) {
      all.x.push(...await read.x());
      all.x0.push(...await read.x0());
    },
  });
  sampler.destroy();
  return { ...all, final };
}

const timesOf = (steps: readonly SamplerStep[]) => steps.map(({ t }) => t);

/** Loops of a sampler; `sampler` names it, `ddim` where it is not given. */
export const samplerLoopCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const schedule = scheduleOf(c);
  const method = SAMPLERS[parsePart(c, z.enum(SAMPLER_NAMES).default("ddim"), "sampler")];
  const eta = parsePart(c, z.number().default(0), "eta");
  const spacing = parsePart(c, z.enum(SPACING_NAMES).optional(), "spacing");
  const steps = method.steps(schedule, parsePart(c, z.int(), "num_inference_steps"), { eta, spacing });
  const got = await sample(device, {
    method,
    schedule,
    steps,
    model: modelOf(c),
    start: tensorOf(want, "input/x_T"),
    guidance: parsePart(c, guidanceSchema.nullable(), "guidance"),
    noise: method.noisy({ eta }) ? tensorOf(want, "input/noise") : undefined,
  });
  return [
    exact("timesteps", equal(timesOf(steps), c.json["timesteps"])),
    ...compareGroups(c, want, new Map([["output/x", got.x], ["output/x0", got.x0]])),
  ];
};

const ldmConfig = z.strictObject({
  S: z.int(),
  schedule: z.string(),
  eta: z.number(),
  unconditional_guidance_scale: z.number(),
});

/** DDIM as LDM samples it. */
export const ldmSamplerCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const config = parsePart(c, ldmConfig);
  const number = "-?[\\d.]*\\d";
  const { beta_start = NaN, beta_end = NaN } = numbersIn(
    config.schedule,
    new RegExp(`^linear \\(LDM\\) (?<beta_start>${number})\\.\\.(?<beta_end>${number})$`),
    "the schedule",
  );
  const { k_cond = NaN, k_uncond = NaN } = numbersIn(
    c.json["model_function"],
    new RegExp(`\\bconditioning k=(?<k_cond>${number}), unconditional k=(?<k_uncond>${number})`),
    "the numbers of the conditions",
  );
  const schedule = makeSchedule({ ...LATENT_SCHEDULE, beta_start, beta_end });
  const method = SAMPLERS.ddim_ldm;
  const steps = method.steps(schedule, config.S, { eta: config.eta });
  const got = await sample(device, {
    method,
    schedule,
    steps,
    model: modelOf(c),
    start: tensorOf(want, "input/x_T"),
    guidance: { scale: config.unconditional_guidance_scale, k_cond, k_uncond },
    noise: config.eta ? tensorOf(want, "input/noise") : undefined,
  });
  const near = (values: unknown, t: readonly number[]) =>
    values === undefined ||
    Array.isArray(values) && values.length === t.length &&
      values.every((a, k) => Math.abs(a - noiseLevel(schedule, t[k] ?? 0).signal ** 2) < 1e-6);
  const rising = timesOf(steps).toReversed();
  return [
    exact("timesteps", equal(timesOf(steps), c.json["timesteps"])),
    exact("ddim_alphas", near(c.json["ddim_alphas"], rising)),
    exact("ddim_alphas_prev", near(c.json["ddim_alphas_prev"], [0, ...rising.slice(0, -1)])),
    ...compareGroups(c, want, new Map(Object.entries(got).map(([name, data]) => [`output/${name}`, data]))),
  ];
};

const unitTests = z.strictObject({
  full_loops: z.array(z.looseObject({ name: z.string(), overrides: z.record(z.string(), z.unknown()) })).min(1),
  variance: z.array(z.looseObject({ t: z.int(), prev_t: z.int(), asserted: z.number(), tolerance: z.number() })),
  steps_offset: z.strictObject({
    steps_offset: z.int(),
    num_inference_steps: z.int(),
    asserted_timesteps: z.array(z.int()),
  }),
  eta: z.literal(0),
  num_inference_steps: z.int(),
  dummy_model: z.literal("model(x,t) = x*t/(t+1)"),
});

/** The numbers that diffusers' own unit tests assert. */
export const ddimUnitTestsCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const got = new Map<string, ArrayLike<number>>();
  const { full_loops, variance, steps_offset, eta, num_inference_steps, dummy_model } = c.json;
  const given = parsePart(c, unitTests, "full_loops, ...", {
    full_loops,
    variance,
    steps_offset,
    eta,
    num_inference_steps,
    dummy_model,
  });
  const model: Model = (x, ofTime) => mul(x, ofTime((t) => t / (t + 1)));
  for (const { name, overrides } of given.full_loops) {
    const schedule = scheduleOf(c, overrides);
    const steps = SAMPLERS.ddim.steps(schedule, given.num_inference_steps, { eta });
    const start = tensorOf(want, "input/sample");
    got.set(`output/${name}`, (await sample(device, { method: SAMPLERS.ddim, schedule, steps, model, start })).final);
  }
  const schedule = scheduleOf(c);
  const { steps_offset: offset, num_inference_steps: count, asserted_timesteps } = given.steps_offset;
  return [
    ...compareGroups(c, want, got),
    ...given.variance.map(({ t, prev_t, asserted, tolerance }) => ({
      group: "variance",
      error: Math.abs(ddimVariance(schedule, t, prev_t) - asserted),
      tolerance,
    })),
    exact("timesteps", equal(timesteps(scheduleOf(c, { steps_offset: offset }), count), asserted_timesteps)),
  ];
};

/** Adding noise, velocities and DDPM steps. */
export const ddpmCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const schedule = scheduleOf(c);
  const times = parsePart(c, z.array(z.int()).min(1), "timesteps");
  const variances = parsePart(c, z.array(z.number()).length(times.length), "posterior_variance");
  const [x0, noise, fresh] = ["x0", "noise", "step_noise"].map((name) => tensorOf(want, `input/${name}`)) as [
    TensorData,
    TensorData,
    TensorData,
  ];
  const size = x0.data.length / times.length;
  const row = ({ shape, data }: TensorData, k: number): TensorData => ({
    shape: [1, ...shape.slice(1)],
    data: data.subarray(k * size, (k + 1) * size),
  });
  const mixed = ({ signal, noise: factor }: { signal: number; noise: number }, k: number) => {
    const e = row(noise, k).data;
    return Array.from(row(x0, k).data, (x, i) => signal * x + factor * (e[i] ?? NaN));
  };
  const velocities = makeSchedule({ ...schedule.config, prediction_type: "v_prediction" });
  const got: Record<"noisy" | "velocity" | "prev", number[]> = { noisy: [], velocity: [], prev: [] };
  for (const [k, t] of times.entries()) {
    got.noisy.push(...mixed(noiseLevel(schedule, t), k));
    got.velocity.push(...mixed(targetFactors(velocities, t), k));
    const { shape, data } = row(noise, k);
    const { final } = await sample(device, {
      method: SAMPLERS.ddpm,
      schedule,
      steps: [ddpmStep(schedule, t)],
      model: (x) => x.graph.constant(data, shape),
      start: row(x0, k),
      noise: row(fresh, k),
    });
    got.prev.push(...final);
  }
  return [
    ...compareGroups(c, want, new Map(Object.entries(got).map(([name, data]) => [`output/${name}`, data]))),
    ...times.map((t, k): GoldenResult => ({
      group: "posterior_variance",
      error: Math.abs(ddpmVariance(schedule, t) / (variances[k] ?? NaN) - 1),
      tolerance: 2e-5,
    })),
  ];
};

const scheduleConfigs = z.strictObject({ scaled_linear: z.unknown() });

/** Betas, their products and the time steps of every spacing. */
export const noiseScheduleCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const config = readConfig(scheduleFormat, parsePart(c, scheduleConfigs).scaled_linear, c.name);
  const defaults = readConfig(scheduleFormat, {}, c.name);
  const got = new Map([
    ["diffusers/betas", betas(config)],
    ["diffusers/alphas_cumprod", alphasCumprod(config)],
    ["diffusers_linear/alphas_cumprod", alphasCumprod(defaults)],
    ["diffusers_cosine/alphas_cumprod", alphasCumprod({ ...defaults, beta_schedule: "squaredcos_cap_v2" })],
  ]);
  const results = compareGroups(c, want, got, { other: ["ldm"] });

  // These two are f64.
  using file = await readSafetensors(`${c.dir}/${c.json.files?.[0]}`);
  const doubles = async (name: string) => new Float64Array((await file.readRaw(name)).bytes.buffer);
  for (
    const [name, data] of [["ldm/betas_f64", betas(config)], ["ldm/alphas_cumprod_f64", alphasCumprod(config)]] as const
  ) {
    results.push({
      group: "ldm",
      error: goldenError(data, await doubles(name), c.json.group_scale?.["ldm"] ?? 0),
      tolerance: Number(c.json.tolerance?.["ldm"]),
      tensor: name,
    });
  }

  const kinds: Record<string, (steps: number) => number[]> = {
    diffusers_leading_offset0: (n) => timesteps(makeSchedule({ ...config, steps_offset: 0 }), n),
    diffusers_leading_offset1: (n) => timesteps(makeSchedule(config), n),
    diffusers_trailing: (n) => timesteps(makeSchedule({ ...config, timestep_spacing: "trailing" }), n),
    diffusers_linspace: (n) => timesteps(makeSchedule({ ...config, timestep_spacing: "linspace" }), n),
    ldm_uniform: (n) => ldmTimesteps(makeSchedule(config), n),
  };
  const lists = z.record(z.string(), z.record(z.enum(Object.keys(kinds)), z.array(z.int())));
  for (const [steps, given] of Object.entries(parsePart(c, lists, "timesteps"))) {
    for (const [kind, list] of Object.entries(given)) {
      if (!equal(kinds[kind]?.(Number(steps)), list)) {
        results.push({ ...exact("timesteps", false), tensor: `${kind} ${steps}` });
      }
    }
  }
  return results;
};
