/**
 * Learning-rate schedules: the factor of the base rate in each step.
 *
 * @module
 */

/** Factor of the base learning rate in a step that counts from 0. */
export type LrSchedule = (step: number) => number;

const warm = (step: number, warmup: number) => step < warmup ? step / Math.max(1, warmup) : null;

/** A constant rate after a linear warm-up from 0. Source: diffusers `constant_with_warmup`. */
export function constantSchedule(warmup_steps = 0): LrSchedule {
  return (step) => warm(step, warmup_steps) ?? 1;
}

/** Linear to 0 at `total_steps` after a linear warm-up. Source: diffusers `linear`. */
export function linearSchedule(total_steps: number, warmup_steps = 0): LrSchedule {
  return (step) =>
    warm(step, warmup_steps) ?? Math.max(0, (total_steps - step) / Math.max(1, total_steps - warmup_steps));
}

/** Half a cosine to 0 at `total_steps` after a linear warm-up. Source: diffusers `cosine`; Loshchilov & Hutter 2016. */
export function cosineSchedule(total_steps: number, warmup_steps = 0): LrSchedule {
  return (step) => {
    const progress = (step - warmup_steps) / Math.max(1, total_steps - warmup_steps);
    return warm(step, warmup_steps) ?? (1 + Math.cos(Math.PI * Math.min(1, progress))) / 2;
  };
}

/** Multiplied by `gamma` at each milestone. Source: torch `MultiStepLR`. */
export function stepSchedule(milestones: readonly number[], gamma = 0.1): LrSchedule {
  return (step) => gamma ** milestones.filter((m) => step >= m).length;
}
