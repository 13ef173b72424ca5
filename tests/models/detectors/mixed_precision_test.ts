import assert from "node:assert/strict";
import { nmePerImage } from "../../../faces/metrics.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { Detector, readDetectorConfig } from "../../../models/detectors/detector.ts";
import { detectorTargets, detectorTraining, trainableNames } from "../../../models/detectors/registry.ts";
import { createParameters, initialise } from "../../../models/io/params.ts";
import { cosineSchedule } from "../../../models/lr_schedule.ts";
import { Trainer } from "../../../models/trainer.ts";
import type { Precision } from "../../../engine/plan/precision.ts";
import { Graph } from "../../../engine/graph.ts";
import { gpuTest } from "../../gpu.ts";
import { slow } from "../../slow.ts";
import { frontalFaces } from "./frontal.ts";

const [TRAIN, VAL, BATCH, STEPS] = [64, 64, 8, 160];

gpuTest("the detector that ships trains in mixed precision to within 2 % of the error of f32", async (device) => {
  const config = await readDetectorConfig("models/tiny/detector");
  const { size_px } = config;
  const pixels_each = size_px * size_px * 3;
  const { pixels, truth } = await frontalFaces(device, TRAIN + VAL, size_px);
  const batches = Array.from({ length: TRAIN / BATCH }, (_, k) => ({
    images: Float32Array.from(
      pixels.subarray(k * BATCH * pixels_each, (k + 1) * BATCH * pixels_each),
      (v) => v / 127.5 - 1,
    ),
    ...detectorTargets(config, truth.subarray(k * BATCH * 136, (k + 1) * BATCH * 136)),
  }));
  const errorOf = async (precision: Precision) => {
    const { specs, loss, landmarks, updates } = detectorTraining(new Graph(), config, BATCH);
    const parameters = createParameters(device, specs, initialise(specs, 7));
    using trainer = new Trainer(device, {
      loss,
      trainable: trainableNames(config, specs),
      updates,
      outputs: { landmarks },
      clip_norm: 10,
      weight_decay: 0,
      ema_decay: 0.95,
      precision,
    }, parameters);
    await trainer.start();
    const rate = cosineSchedule(STEPS, 20);
    for (let step = 0; step < STEPS; step++) await trainer.step(batches[step % batches.length]!, 5e-3 * rate(step));
    const detector = new Detector(device, config, trainer.averaged(), { batch: 16 });
    const { landmarks: found } = await detector.predict(pixels.subarray(TRAIN * pixels_each), size_px);
    detector.destroy();
    for (const tensor of parameters.values()) tensor.destroy();
    return nmePerImage(found, truth.subarray(TRAIN * 136), SCHEMAS.ibug68).reduce((a, b) => a + b) / VAL;
  };
  const [full, mixed] = [await errorOf("f32"), await errorOf("f16-mixed")];
  assert.ok(full < 12, `f32 learned: ${full} %`);
  assert.ok(Math.abs(mixed / full - 1) < 0.02, `f16-mixed has an NME of ${mixed} % in place of ${full} %`);
}, slow);
