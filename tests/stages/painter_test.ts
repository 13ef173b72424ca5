import assert from "node:assert/strict";
import { SCHEMAS } from "../../faces/schema.ts";
import { similarity, transformLandmarks } from "../../faces/landmarks.ts";
import { openModel, readModel } from "../../models/io/pipeline_folder.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { uploadParameters } from "../../models/io/params.ts";
import { openDevice } from "../../engine/device.ts";
import { Random } from "../../engine/rng.ts";
import { align } from "../../stages/lib/alignment.ts";
import { ImageGenerator } from "../../stages/lib/painting.ts";
import { samplerOf, type SamplingOptions } from "../../stages/lib/sampling.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { slowTest } from "../slow.ts";

slowTest("control_in: conditional strengthens landmarks with guidance, and is the same without either", async () => {
  const device = await openDevice();
  const size_px = 64, batch = 8;
  const { controlnet, ...rest } = await openModel("models/tiny");
  const model = { ...rest, controlnet: controlnet! };
  const plain: SamplingOptions = { steps: 8, guidance: 3, eta: 0, control_scale: 1, batch_size: batch };
  const { specs } = samplerOf(model, size_px, model.tokenizer.length, plain);
  const parameters = await uploadParameters(device, readModel(model, specs));
  const landmarks = Array.from({ length: batch }, (_, k) => {
    const turned = similarity([31.5, 31.5], 0.8 + k / 20, (k - 3.5) / 10, [k % 3 - 1, 0]);
    return transformLandmarks(neutralFace(size_px), turned);
  });
  const requests = landmarks.map((landmarks, k) => ({
    landmarks,
    schema: SCHEMAS.ibug68,
    prompt: `a portrait of ${k % 2 ? "ink" : "comic"} style`,
  }));
  const paint = async (options: Partial<SamplingOptions>) => {
    const painter = new ImageGenerator(device, model, size_px, { ...plain, ...options }, parameters);
    const random = new Random(5, "test");
    const images = await painter.generate(requests.map((request, k) => ({ ...request, random: random.at(k) })));
    painter.destroy();
    return images;
  };
  const detector = await loadDetector(device, "models/tiny/detector", { batch });
  const distance = async (options: Partial<SamplingOptions>) => {
    const images = await paint(options);
    const { nme } = await align(
      detector,
      SCHEMAS.ibug68,
      images.map((image, k) => ({ image, landmarks: landmarks[k]! })),
      (one) => Promise.resolve(one),
    );
    return nme.reduce((a, b) => a + b) / batch;
  };

  const conditional = { control_in: "conditional" } as const;
  for (const options of [{ steps: 2, guidance: 1 }, { steps: 2, control_scale: 0 }]) {
    const [a, b] = [await paint(options), await paint({ ...options, ...conditional })];
    const furthest = a.map(({ data }, k) =>
      data.reduce((most, v, i) => Math.max(most, Math.abs(v - b[k]!.data[i]!)), 0)
    );
    assert.ok(Math.max(...furthest) <= 1, `${JSON.stringify(options)}: ${furthest.join(" ")} of 255`);
  }
  const [both, one] = [await distance({}), await distance(conditional)];
  assert.ok(one < 0.8 * both, `alignment_nme ${one.toFixed(2)} % in place of ${both.toFixed(2)} %`);
  detector.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  device.destroy();
});
