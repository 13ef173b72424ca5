/**
 * The samplers by name. A new one is a file in this folder and a row here: options, docs and golden checks follow.
 *
 * @module
 */

import { ddim, ddimLdm } from "./ddim.ts";
import { ddpm } from "./ddpm.ts";
import { dpmpp2m } from "./dpmpp_2m.ts";
import type { SamplingMethod } from "./method.ts";

/** Every sampler. */
export const SAMPLERS = {
  ddim,
  ddim_ldm: ddimLdm,
  ddpm,
  dpmpp_2m: dpmpp2m,
} as const satisfies Record<string, SamplingMethod>;

/** Name of a sampler. */
export type SamplerName = keyof typeof SAMPLERS;

/** Names of all samplers, the default first. */
export const SAMPLER_NAMES: readonly [SamplerName, ...SamplerName[]] = Object.keys(SAMPLERS) as [
  SamplerName,
  ...SamplerName[],
];
