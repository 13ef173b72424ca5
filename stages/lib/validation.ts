/**
 * Validation of a diffusion model on the images of a validation set: the same images, prompts, noise and time steps each time.
 *
 * @module
 */

import { z } from "zod";
import type { Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import type { Parameters } from "../../engine/prepare.ts";
import type { Artifact, Conflicts, StageContext } from "../../runtime/stage.ts";
import { batchMaker } from "./batches.ts";
import { loadFaces } from "./faces.ts";
import { latentBatches, type LatentSource } from "./latents.ts";
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
  source: LatentSource,
  { loss, parameters }: {
    readonly loss: Value;
    /** Those of the training, which change between evaluations. */
    readonly parameters: Parameters;
  },
): Promise<ValidationCallback | undefined> {
  if (!val) return undefined;
  const faces = await loadFaces([val]);
  const count = Math.max(1, Math.round(IMAGES / options.batch_size));
  const { batches } = await latentBatches(ctx, source, { seed: 0, faces }, { ...options, prompt_dropout: 0 }, count);
  const batch = batchMaker(batches);
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
