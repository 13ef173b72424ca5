/**
 * True if a long training keeps to its memory: many steps of a small UNet, made as the trainings of the stages make them.
 *
 * @module
 */

import { createParameters, initialise, type ParameterSpec, Scope } from "../models/io/params.ts";
import { Trainer } from "../models/trainer.ts";
import { unet, unetFormat } from "../models/diffusion/unet.ts";
import type { Device } from "../engine/device.ts";
import { elements, Graph } from "../engine/graph.ts";
import { Random } from "../engine/rng.ts";
import { denoisingLoss } from "../stages/lib/diffusion.ts";

const STEPS = 1000;
/** Step from which memory must not grow: shaders are compiled, and the garbage collector has adapted. */
const SETTLED = 50;
/** Largest growth allowed. */
const ALLOWED = 1.05;

/**
 * Trains, and prints the memory of the process at step 50 and at the end.
 *
 * @returns True if it grew by 5 % at most.
 */
export async function soak(device: Device, json: boolean, print: (line: string) => void): Promise<boolean> {
  const config = unetFormat.schema.parse({
    block_out_channels: [16, 32],
    down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"],
    layers_per_block: 1,
    cross_attention_dim: 16,
    attention_head_dim: 2,
    norm_num_groups: 4,
  });
  const batch = 2;
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const context = graph.input("context", [batch, 8, 16]);
  const loss = denoisingLoss(
    graph,
    [batch, 8, 8, 4],
    (sample, timesteps) => unet(new Scope(graph, specs, "unet/"), config, { sample, timesteps, context }),
  );
  const parameters = createParameters(device, specs, initialise(specs, 0));
  const spec = { loss, trainable: specs.keys(), clip_norm: 1, weight_decay: 0, ema_decay: 0.995 };
  const trainer = new Trainer(device, spec, parameters);
  await trainer.start();
  const shapes = [...graph.inputs].filter(([name]) => name !== "adam.hyper");
  const random = new Random(0, "bench/soak");
  const draw = () =>
    Object.fromEntries(
      shapes.map(([name, { shape }]) => [name, random.fillNormal(new Float32Array(elements(shape)))]),
    );

  // As the stages do it: the next step is queued before the loss of the last is awaited.
  let last = Promise.resolve(0);
  let settled = 0, most = 0;
  const start = performance.now();
  while (trainer.steps < STEPS) {
    const next = trainer.step(draw(), 1e-4);
    await last;
    last = next;
    const { rss } = Deno.memoryUsage();
    if (trainer.steps === SETTLED) settled = rss;
    if (trainer.steps >= SETTLED) most = Math.max(most, rss);
  }
  await last;
  const seconds = (performance.now() - start) / 1000;
  const { rss } = Deno.memoryUsage();
  trainer.destroy();
  for (const tensor of parameters.values()) tensor.destroy();

  const ratio = rss / settled;
  const MB = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  print(
    json
      ? JSON.stringify({ soak: "unet", steps: STEPS, rss_50: settled, rss_end: rss, rss_most: most, ratio, seconds })
      : `memory of the process: ${MB(settled)} at step ${SETTLED}, ${MB(rss)} at step ${STEPS}, ${MB(most)} at most; ` +
        `${(100 * (ratio - 1)).toFixed(1)} % more, in ${seconds.toFixed(0)} s`,
  );
  return ratio <= ALLOWED;
}
