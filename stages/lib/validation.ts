/**
 * Validation of a diffusion model on the images of a validation set: the same images, prompts, noise and time steps each time.
 *
 * @module
 */

import { z } from "zod";
import type { Schedule } from "../../models/diffusion/schedule.ts";
import type { Tokenizer } from "../../models/diffusion/tokenizer.ts";
import type { Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import type { Parameters } from "../../engine/prepare.ts";
import type { Artifact, Conflicts, StageContext } from "../../runtime/stage.ts";
import { batchMaker, drawnImages } from "./batches.ts";
import { diffusionBatches, encodeLatents } from "./diffusion.ts";
import { loadFaces } from "./faces.ts";
import type { Callback } from "./training.ts";

/** Images that the loss is measured on, in whole batches. */
const IMAGES = 64;

/** Option of the trainings of a diffusion model. */
export const validationOptions = {
  val_every: z.int().min(1).optional().describe("Validation interval, in steps; by default 100"),
};

/** Finds contradictions about the validation of a diffusion model. */
export function validationConflicts(
  val: Artifact | undefined,
  { val_every }: { val_every?: number | undefined },
): Conflicts {
  return [!val && val_every !== undefined && { option: "val_every", reason: `the input "val" is missing` }];
}

/** A callback that can also be called at the end. */
export interface ValidationCallback extends Callback, Disposable {}

/**
 * Creates a callback that measures the metric `loss_val`; undefined without validation images. Neither the pipeline's
 * seed nor the training changes its batches, so that runs with the same validation images can be compared.
 *
 * @param val Dataset of the validation images.
 * @param options Those of the training.
 */
export async function validation(
  ctx: StageContext,
  val: Artifact | undefined,
  options: { batch_size: number; prompt: string | null; min_snr?: number | undefined; val_every?: number | undefined },
  { autoencoder, schedule, tokenizer, drawings, loss, parameters }: {
    /** Folder of the autoencoder. */
    readonly autoencoder: string;
    readonly schedule: Schedule;
    readonly tokenizer: Tokenizer;
    /** True if landmark drawings are wanted. */
    readonly drawings: boolean;
    readonly loss: Value;
    /** Those of the training, which change between evaluations. */
    readonly parameters: Parameters;
  },
): Promise<ValidationCallback | undefined> {
  if (!val) return undefined;
  const faces = await loadFaces([val]);
  const count = Math.max(1, Math.round(IMAGES / options.batch_size));
  const drawn = drawnImages({ seed: 0, schedule, batch_size: options.batch_size, count: faces.records.length }, count);
  const latents = await encodeLatents(ctx, autoencoder, faces, drawn);
  const source = { seed: 0, faces, latents, schedule, tokenizer };
  const batch = batchMaker(diffusionBatches(source, { ...options, prompt_dropout: 0 }, drawings));
  const executable = new Executable(await ctx.device(), { outputs: { loss } }, parameters);
  return {
    every: options.val_every ?? 100,
    async evaluate(step) {
      let sum = 0;
      for (let k = 0; k < count; k++) {
        executable.run(batch(k));
        sum += (await executable.read("loss"))[0]!;
      }
      ctx.metric({ step, loss_val: sum / count });
      ctx.log(`step ${step}: loss ${(sum / count).toPrecision(4)} on the validation images`);
      return false;
    },
    [Symbol.dispose]: () => executable.destroy(),
  };
}
