/**
 * The discriminator in the training of an autoencoder: its option, the step from which it counts, its records.
 *
 * @module
 */
import { z } from "zod";
import { GROUPS } from "../../models/diffusion/discriminator.ts";
import type { Trainer } from "../../models/trainer.ts";
import type { StageContext } from "../../runtime/stage.ts";
import type { Batch, Batches } from "../lib/batches.ts";
import type { Callback } from "../lib/training.ts";

/** Option `adversarial`. */
export const adversarialOption = z.strictObject({
  weight: z.number().positive().default(0.5).describe(
    "Weight of the discriminator's verdict relative to that of the other distances, where gradients are balanced",
  ),
  start: z.int().min(0).default(0).describe("Steps before the discriminator counts and learns"),
  channels: z.int().min(GROUPS).multipleOf(GROUPS).default(32).describe("Channels of its first layer"),
  layers: z.int().min(1).max(4).default(2).describe(
    "Times that it halves the side; it judges patches of 16, 34, 70 or 142 pixels",
  ),
}).optional().describe(
  "Trains a patch discriminator beside the autoencoder, which learns to deceive it and so to be sharp (Esser et al. 2021, " +
    "arXiv 2012.09841); by default none",
);

/** Adds the input `started` to batches: 1 from batch `first` on, from which the discriminator counts and learns. */
export function withStart(batches: Batches, first: number): Pick<Batches, "get"> {
  return {
    get: async (batch): Promise<Batch> => ({
      ...await batches.get(batch),
      started: new Float32Array([batch >= first ? 1 : 0]),
    }),
  };
}

/** Steps between records of the discriminator. */
const RECORD_EVERY = 10;

/** Creates a callback that records the losses of the discriminator and of what deceives it, and the weight between. */
export function recordOf(ctx: StageContext, trainer: Trainer): Callback {
  return {
    every: RECORD_EVERY,
    async evaluate(step) {
      const read = async (name: string) => (await trainer.step_plan.read(name))[0] ?? NaN;
      ctx.metric({
        step,
        loss_discriminator: await read("discriminator"),
        loss_generator: await read("generator"),
        adaptive_weight: await read("balance"),
      });
      return false;
    },
  };
}
