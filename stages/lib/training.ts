/**
 * The loop that every training stage shares: checkpoints, resume, metrics, cancellation.
 *
 * @module
 */

import { z } from "zod";
import { OPTIMIZER_NAMES, OPTIMIZERS } from "../../models/optimizers.ts";
import { constantSchedule, cosineSchedule, stepSchedule } from "../../models/lr_schedule.ts";
import { type Inputs, MEMORY_SIZE, NonFiniteLossError, type Trainer } from "../../models/trainer.ts";
import { PRECISIONS } from "../../engine/plan/precision.ts";
import { formatSeconds } from "../../runtime/run/progress.ts";
import type { StageContext } from "../../runtime/stage.ts";
import type { Batches } from "./batches.ts";

/** Options that every training stage has. */
export const trainingOptions = {
  steps: z.int().min(1).describe("Optimizer steps"),
  batch_size: z.int().min(1).max(4096).describe("Images in a step"),
  lr: z.number().min(0).max(1).describe("Peak learning rate"),
  optimizer: z.enum(OPTIMIZER_NAMES).optional().describe(
    `${OPTIMIZER_NAMES.map((name) => `${name}: ${OPTIMIZERS[name].doc}`).join("; ")}; by default ${OPTIMIZER_NAMES[0]}`,
  ),
  warmup_steps: z.int().min(0).default(20).describe("Linear warm-up of the learning rate, in steps"),
  lr_schedule: z.enum(["cosine", "constant", "step"]).default("cosine").describe(
    "Learning rate after the warm-up; step: multiplied by gamma at each of the milestones",
  ),
  milestones: z.array(z.int().min(1)).min(1).optional().describe(
    "lr_schedule step: steps at which the learning rate is multiplied by gamma",
  ),
  gamma: z.number().positive().max(1).optional().describe("lr_schedule step: factor at a milestone; by default 0.1"),
  weight_decay: z.number().min(0).default(0).describe("Weight decay, decoupled for AdamW"),
  clip_norm: z.number().positive().default(1).describe("Largest norm of the gradient"),
  ema_decay: z.number().min(0).max(1).default(0.995).describe(
    "Decay of the moving average of the weights, which is what is saved",
  ),
  memory_limit: z.union([z.int().min(1), z.string().regex(MEMORY_SIZE, "it must be bytes or a size such as 8GiB")])
    .optional()
    .describe(
      "GPU memory of a step, bytes or such as 8GiB; if it needs more, activations are recomputed instead of stored, with the same results; by default no limit",
    ),
  precision: z.enum(PRECISIONS).optional().describe(
    "f16-mixed: activations and their gradients as f16, with loss scaling; weights, sums and all arithmetic stay f32; by default f32",
  ),
  checkpoint_every: z.int().min(1).default(100).describe("Steps between checkpoints"),
};

/** Option of the stages whose batches are functions of their number alone. */
export const accumulation = {
  gradient_accumulation_steps: z.int().min(1).max(4096).optional().describe(
    "Gradient accumulation: batches averaged into one optimizer step; by default 1",
  ),
};

/** The options above as a stage gets them. */
export type TrainingOptions = z.output<z.ZodObject<typeof trainingOptions>>;

/** Batches of a whole training. */
export function batchCount(
  { steps, gradient_accumulation_steps = 1 }: { steps: number; gradient_accumulation_steps?: number | undefined },
): number {
  return steps * gradient_accumulation_steps;
}

/** Learning rate of a step, counted from 0. */
export function learningRate(options: TrainingOptions): (step: number) => number {
  const { lr, warmup_steps, lr_schedule, steps, milestones, gamma } = options;
  const factor = lr_schedule === "cosine" ? cosineSchedule(steps, warmup_steps) : constantSchedule(warmup_steps);
  const falling = stepSchedule(milestones ?? [], gamma);
  return (step) => lr * factor(step) * falling(step);
}

/** An action at an interval of steps, before the checkpoint of its step, so that none is left out or done twice. */
export interface Callback {
  readonly every: number;
  /** Resolves to true to end the training here. */
  evaluate(step: number): Promise<boolean>;
}

/**
 * Trains to `options.steps`, going on from the checkpoint in `ctx.work` when there is one.
 *
 * @param batches A step has one, or as many as the trainer accumulates.
 * @param callbacks Called between steps, in this order; not after the last step.
 */
export async function train(
  ctx: StageContext,
  trainer: Trainer,
  options: TrainingOptions,
  batches: Pick<Batches, "get">,
  callbacks: readonly Callback[] = [],
): Promise<void> {
  const rate = learningRate(options);
  if (!await trainer.resume(ctx.work)) await trainer.start();
  else ctx.log(`going on from step ${trainer.steps}`);
  ctx.resumeMetrics(trainer.steps);
  const clock = new StepClock();
  const inputsOf = (step: number) => stepInputs(batches, step, trainer.gradient_accumulation_steps);
  const losses = new LateLosses(
    ctx,
    options.steps,
    (error) => explain(ctx, trainer, error, async (step) => ({ inputs: await inputsOf(step), lr: rate(step) })),
  );
  try {
    while (trainer.steps < options.steps) {
      const step = trainer.steps;
      clock.ask();
      const inputs = await inputsOf(step);
      clock.begin();
      const lr = rate(step);
      const loss = trainer.step(inputs, lr);
      await losses.next({ step: step + 1, lr, loss }, () => clock.end());
      const due = callbacks.filter(({ every }) => trainer.steps % every === 0 && trainer.steps < options.steps);
      let ended = false;
      if (due.length) {
        await losses.settle();
        clock.pause();
        for (const { evaluate } of due) ended = await evaluate(trainer.steps) || ended;
      }
      if (ended) break;
      if (ctx.signal.aborted || (trainer.steps % options.checkpoint_every === 0 && trainer.steps < options.steps)) {
        await losses.settle();
        clock.pause();
        await trainer.save(ctx.work);
        ctx.signal.throwIfAborted();
      }
    }
    await losses.settle();
  } finally {
    // Nothing is on its way to the GPU when the caller frees the memory.
    await losses.latest;
  }
  clock.pause();
  if (clock.steps_ms === 0) return; // all steps had been made before
  const percent = 100 * clock.waited_ms / clock.steps_ms;
  ctx.summary({ waited_for_data_percent: Number(percent.toPrecision(2)) });
  ctx.log(`waited for data in ${percent.toFixed(1)} % of the ${formatSeconds(clock.steps_ms / 1000)} of its steps`);
}

/** The batches of a step. */
async function stepInputs(batches: Pick<Batches, "get">, step: number, count: number): Promise<Inputs[]> {
  const inputs: Inputs[] = [];
  for (let k = 0; k < count; k++) inputs.push(await batches.get(step * count + k));
  return inputs;
}

/** Throws the error of a step; of a loss that is not finite, one that names the op which it came from. */
async function explain(
  ctx: StageContext,
  trainer: Trainer,
  error: unknown,
  again: (step: number) => Promise<{ inputs: Inputs[]; lr: number }>,
): Promise<never> {
  if (!(error instanceof NonFiniteLossError)) throw error;
  ctx.log(
    `the loss is not finite in step ${error.step}: its steps are repeated from the latest checkpoint to find the op`,
  );
  throw await trainer.locate(error, ctx.work, async (step) => {
    ctx.signal.throwIfAborted();
    return await again(step);
  });
}

/** A step that was given to the GPU. */
interface PendingStep {
  /** Steps made once it is done. */
  readonly step: number;
  readonly lr: number;
  readonly loss: Promise<number>;
}

/**
 * Losses, each read and reported when the next step is on its way: so the GPU works on one step while the next one's batch
 * is made.
 */
class LateLosses {
  /** Settled once the latest step is done, or has failed. */
  latest: Promise<unknown> = Promise.resolve();
  #pending: PendingStep | null = null;
  #average = NaN;

  constructor(
    private readonly ctx: StageContext,
    private readonly steps: number,
    private readonly explain: (error: unknown) => Promise<never>,
  ) {}

  /** Reports the step before, and keeps the next one; `ended` is called when that is done. */
  async next(pending: PendingStep, ended: () => void): Promise<void> {
    this.latest = pending.loss.catch(() => {}).finally(ended); // settled below, where it is reported
    await this.settle();
    this.#pending = pending;
  }

  /** Reports the loss that is pending, if any. */
  async settle(): Promise<void> {
    if (!this.#pending) return;
    const { step, lr, loss: late } = this.#pending;
    const loss = await late.catch(this.explain);
    this.#pending = null;
    this.#average = Number.isNaN(this.#average) ? loss : this.#average * 0.98 + loss * 0.02;
    this.ctx.metric({ step, loss, lr });
    this.ctx.progress(step, this.steps, { loss: Number(this.#average.toPrecision(4)) });
  }
}

/** Measures the part of the steps' time in which the GPU waited for the next batch. */
class StepClock {
  /** Time of the steps, without the time before the first one, evaluations and checkpoints. */
  steps_ms = 0;
  /** The part of it in which a batch was waited for and no step was on its way. */
  waited_ms = 0;
  #since: number | null = null;
  #asked = 0;
  #going = 0;
  #ended = 0;

  /** A batch is asked for. */
  ask(): void {
    this.#asked = performance.now();
  }

  /** The batch is there, and its step goes to the GPU. */
  begin(): void {
    const now = performance.now();
    // The time of the first batch is a part of the start.
    if (this.#since === null) this.#since = now;
    else if (this.#going === 0) this.waited_ms += now - Math.max(this.#asked, this.#ended);
    this.#going++;
  }

  /** A step is done. */
  end(): void {
    this.#going--;
    this.#ended = performance.now();
  }

  /** Something else than steps comes now; all of them are done. */
  pause(): void {
    if (this.#since !== null) this.steps_ms += performance.now() - this.#since;
    this.#since = null;
  }
}
