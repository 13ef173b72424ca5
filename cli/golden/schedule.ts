/**
 * Golden checks of noise schedules and samplers; they need no GPU.
 *
 * @module
 */

import {
  addNoise,
  alphasCumprod,
  applyStep,
  betas,
  ddimSteps,
  ddimVariance,
  ddpmStep,
  ddpmVariance,
  guide,
  LATENT_SCHEDULE,
  ldmSteps,
  ldmTimesteps,
  makeSchedule,
  type ScheduleConfig,
  scheduleFormat,
  type StepCoefficients,
  timesteps,
  velocity,
} from "../../models/diffusion/schedule.ts";
import { z } from "zod";
import { readConfig } from "../../models/io/config.ts";
import { readSafetensors } from "../../formats/safetensors.ts";
import {
  allTensors,
  compareGroups,
  exact,
  type GoldenCase,
  type GoldenCheck,
  goldenError,
  numbersIn,
  parsePart,
  tensorOf,
} from "./case.ts";

const scheduleOf = (c: GoldenCase, overrides: Partial<ScheduleConfig> = {}) =>
  makeSchedule(readConfig(scheduleFormat, { ...c.json.config, ...overrides }, c.name));

const equal = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** What a case has in place of a network: a function of x, the time step and a number for the condition. */
type Model = (x: Float64Array, t: number, k: number) => Float64Array;

/** The model in the case's words: `tanh(A*x + B*sin(C*t) + k)`. */
function modelOf(c: GoldenCase): Model {
  const n = "[\\d.]*\\d";
  const { a = NaN, b = NaN, f = NaN } = numbersIn(
    c.json["model_function"],
    new RegExp(`= tanh\\((?<a>${n})\\*x \\+ (?<b>${n})\\*sin\\((?<f>${n})\\*t\\) \\+ k\\)`),
    "the model",
  );
  return (x, t, k) => x.map((v) => Math.tanh(a * v + b * Math.sin(f * t) + k));
}

const guidanceSchema = z.strictObject({
  scale: z.number(),
  k_cond: z.number(),
  k_uncond: z.number(),
  formula: z.string().optional(),
});

type Guidance = z.output<typeof guidanceSchema>;

/** Samples with {@linkcode model}; every x and x_0 in a row. */
function sample(
  model: Model,
  steps: readonly { t: number; coefficients: StepCoefficients }[],
  start: Float32Array,
  guidance: Guidance | null,
  noise?: Float32Array,
) {
  const all = { x: [] as number[], x0: [] as number[], final: new Float64Array() as Float64Array };
  let x: Float64Array = Float64Array.from(start);
  steps.forEach(({ t, coefficients }, k) => {
    const output = guidance
      ? guide(model(x, t, guidance.k_cond), model(x, t, guidance.k_uncond), guidance.scale)
      : model(x, t, 0);
    const step = applyStep(coefficients, x, output, noise?.subarray(k * x.length, (k + 1) * x.length));
    all.x.push(...step.prev);
    all.x0.push(...step.x0);
    x = all.final = step.prev;
  });
  return all;
}

/** DDIM loops of diffusers. */
export const ddimLoopCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const steps = ddimSteps(scheduleOf(c), c.json.num_inference_steps, c.json.eta);
  const guidance = parsePart(c, guidanceSchema.nullable(), "guidance");
  const got = sample(modelOf(c), steps, tensorOf(want, "input/x_T").data, guidance, want.get("input/noise")?.data);
  return [
    exact("timesteps", equal(steps.map(({ t }) => t), c.json.timesteps)),
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
export const ldmSamplerCheck: GoldenCheck = async (c) => {
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
  const steps = ldmSteps(schedule, config.S, config.eta);
  const guidance = { scale: config.unconditional_guidance_scale, k_cond, k_uncond };
  const got = sample(modelOf(c), steps, tensorOf(want, "input/x_T").data, guidance, want.get("input/noise")?.data);
  const visited = steps.map(({ t }) => t);
  const near = (values: unknown, t: readonly number[]) =>
    values === undefined ||
    Array.isArray(values) && values.length === t.length &&
      values.every((a, k) => Math.abs(a - (schedule.alphas_cumprod[t[k] ?? 0] ?? NaN)) < 1e-6);
  const rising = visited.toReversed();
  return [
    exact("timesteps", equal(visited, c.json["timesteps"])),
    exact("ddim_alphas", near(c.json["ddim_alphas"], rising)),
    exact("ddim_alphas_prev", near(c.json["ddim_alphas_prev"], [0, ...rising.slice(0, -1)])),
    ...compareGroups(c, want, new Map(Object.entries(got).map(([name, data]) => [`output/${name}`, data]))),
  ];
};

/** The numbers that diffusers' own unit tests assert. */
export const ddimUnitTestsCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const got = new Map<string, Float64Array>();
  for (const { name, overrides } of c.json.full_loops) {
    let x: Float64Array = Float64Array.from(tensorOf(want, "input/sample").data);
    for (const { t, coefficients } of ddimSteps(scheduleOf(c, overrides), c.json.num_inference_steps)) {
      x = applyStep(coefficients, x, x.map((v) => v * t / (t + 1))).prev;
    }
    got.set(`output/${name}`, x);
  }
  const schedule = scheduleOf(c);
  const variance = c.json.variance.map(({ t, prev_t, asserted, tolerance }: Record<string, number>) => ({
    group: "variance",
    error: Math.abs(ddimVariance(schedule, t!, prev_t!) - asserted!),
    tolerance,
  }));
  const { steps_offset, num_inference_steps, asserted_timesteps } = c.json.steps_offset;
  return [
    ...compareGroups(c, want, got),
    ...variance,
    exact("timesteps", equal(timesteps(scheduleOf(c, { steps_offset }), num_inference_steps), asserted_timesteps)),
  ];
};

/** Adding noise, velocities and DDPM steps. */
export const ddpmCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const schedule = scheduleOf(c);
  const [x0, noise, fresh] = ["x0", "noise", "step_noise"].map((name) => tensorOf(want, `input/${name}`).data);
  const got: Record<"noisy" | "velocity" | "prev", number[]> = { noisy: [], velocity: [], prev: [] };
  const size = x0!.length / c.json.timesteps.length;
  c.json.timesteps.forEach((t: number, k: number) => {
    const [x, e, f] = [x0!, noise!, fresh!].map((data) => data.subarray(k * size, (k + 1) * size));
    got.noisy.push(...addNoise(schedule, t, x!, e!));
    got.velocity.push(...velocity(schedule, t, x!, e!));
    got.prev.push(...applyStep(ddpmStep(schedule, t), x!, e!, f).prev);
  });
  return [
    ...compareGroups(c, want, new Map(Object.entries(got).map(([name, data]) => [`output/${name}`, data]))),
    ...c.json.timesteps.map((t: number, k: number) => ({
      group: "posterior_variance",
      error: Math.abs(ddpmVariance(schedule, t) / c.json.posterior_variance[k] - 1),
      tolerance: 2e-5,
    })),
  ];
};

/** Betas, their products and the time steps of every spacing. */
export const noiseScheduleCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const config = readConfig(scheduleFormat, c.json.config.scaled_linear, c.name);
  const defaults = readConfig(scheduleFormat, {}, c.name);
  const got = new Map([
    ["diffusers/betas", betas(config)],
    ["diffusers/alphas_cumprod", alphasCumprod(config)],
    ["diffusers_linear/alphas_cumprod", alphasCumprod(defaults)],
    ["diffusers_cosine/alphas_cumprod", alphasCumprod({ ...defaults, beta_schedule: "squaredcos_cap_v2" })],
  ]);
  const results = compareGroups(c, want, got, { other: ["ldm"] });

  // These two are f64.
  using file = await readSafetensors(`${c.dir}/${c.json.files![0]}`);
  const doubles = async (name: string) => new Float64Array((await file.readRaw(name)).bytes.buffer);
  for (
    const [name, data] of [["ldm/betas_f64", betas(config)], ["ldm/alphas_cumprod_f64", alphasCumprod(config)]] as const
  ) {
    results.push({
      group: "ldm",
      error: goldenError(data, await doubles(name), c.json.group_scale!.ldm!),
      tolerance: c.json.tolerance!.ldm as number,
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
  for (const [steps, lists] of Object.entries<Record<string, number[]>>(c.json.timesteps)) {
    for (const [kind, list] of Object.entries(lists)) {
      const right = equal(kinds[kind]!(Number(steps)), list);
      if (!right) results.push({ ...exact("timesteps", false), tensor: `${kind} ${steps}` });
    }
  }
  return results;
};
