/**
 * Work for two implementations of WebGPU in addition to the tests of ops: training steps, and the renderer's compiler.
 *
 * @module
 */
import type { Device } from "../../engine/device.ts";
import { Graph } from "../../engine/graph.ts";
import { SHADERS } from "../../faces/render/shaders.ts";
import { detectorTargets, detectorTraining, trainableNames } from "../../models/detectors/registry.ts";
import { starDetectorConfig } from "../../models/detectors/star_detector.ts";
import { hourglassConfig } from "../../models/detectors/hourglass.ts";
import { createParameters, initialise } from "../../models/io/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { spreadNumbers } from "../check_op.ts";

const SIDE = 32, BATCH = 2, STEPS = 3;

/** Both networks, of each landmark schema. */
const NETWORKS = {
  "hourglass, ibug68": hourglassConfig.parse({
    size_px: SIDE,
    heatmap_px: 16,
    stacks: 1,
    depth: 2,
    channels: 16,
    groups: 2,
  }),
  "star, wflw98": starDetectorConfig.parse({ size_px: SIDE, stacks: 1, depth: 1, channels: 16, schema: "wflw98" }),
  "star, cofw29": starDetectorConfig.parse({ size_px: SIDE, stacks: 2, depth: 1, channels: 16, schema: "cofw29" }),
};

/** Losses of the first steps of each network, which depend on every kernel of its forward and backward pass. */
export async function trainingLosses(device: Device): Promise<Record<string, number[]>> {
  const losses: Record<string, number[]> = {};
  for (const [name, config] of Object.entries(NETWORKS)) {
    const { specs, loss, landmarks: found, updates } = detectorTraining(new Graph(), config, BATCH);
    const parameters = createParameters(device, specs, initialise(specs, 3));
    const trainable = trainableNames(config, specs);
    const spec = {
      loss,
      trainable,
      updates,
      outputs: { landmarks: found },
      clip_norm: 10,
      weight_decay: 0,
      ema_decay: 0.99,
    };
    const trainer = new Trainer(device, spec, parameters);
    await trainer.start();
    losses[name] = [];
    for (let step = 0; step < STEPS; step++) {
      const images = Float32Array.from({ length: BATCH * SIDE * SIDE * 3 }, (_, k) => spreadNumbers(step, k) / 1.5);
      const count = found.shape[0]! * found.shape[1]! * 2;
      const truth = Float32Array.from({ length: count }, (_, k) => SIDE / 2 + 8 * spreadNumbers(step, k));
      losses[name].push(await trainer.step({ images, ...detectorTargets(config, truth) }, 1e-3));
    }
    trainer.destroy();
    for (const tensor of parameters.values()) tensor.destroy();
  }
  return losses;
}

/**
 * Errors in the shaders of the renderer. They are compiled and not run, as their five storage textures in a pass are more
 * than a browser need offer.
 */
export async function rendererErrors({ gpu }: Device): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(SHADERS).map(async ([name, code]) => {
      const { messages } = await gpu.createShaderModule({ code }).getCompilationInfo();
      return messages.filter(({ type }) => type === "error").map(({ lineNum, message }) =>
        `${name}:${lineNum}: ${message}`
      );
    }),
  );
  return found.flat();
}
