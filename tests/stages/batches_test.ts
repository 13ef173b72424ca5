import assert from "node:assert/strict";
import { augmentation } from "../../faces/data/augment.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { STAR_SIZES } from "../../models/detectors/star_detector.ts";
import { LATENT_SCHEDULE, makeSchedule } from "../../models/diffusion/schedule.ts";
import { Random } from "../../engine/rng.ts";
import { share } from "../../engine/worker_pool.ts";
import { Batches, batchMaker, type BatchSpec, type DiffusionBatches, drawnImages } from "../../stages/lib/batches.ts";
import { neutralFace } from "../faces/neutral_face.ts";

const SIDE = 16;
const COUNT = 5;
const random = new Random(1, "pictures");
const pictures = {
  images: share(Uint8Array.from({ length: COUNT * SIDE * SIDE * 3 }, () => random.int(256))),
  landmarks: share(Float32Array.from(Array.from({ length: COUNT }, () => [...neutralFace(SIDE)]).flat())),
  schema: SCHEMAS.ibug68,
  size_px: SIDE,
};

const specs: BatchSpec[] = [
  {
    kind: "detector",
    seed: 3,
    batch_size: 2,
    datasets: [pictures, pictures],
    data_weights: [1, 2],
    config: { ...STAR_SIZES.tiny, size_px: 32 },
    augment: augmentation.parse({}),
  },
  { kind: "autoencoder", seed: 3, batch_size: 2, pictures, noise: 8 },
  {
    kind: "diffusion",
    seed: 3,
    batch_size: 2,
    landmarks: pictures.landmarks,
    schema: SCHEMAS.ibug68,
    latents: share(new Float32Array(COUNT * 4).map(() => random.normal())),
    schedule: makeSchedule(LATENT_SCHEDULE),
    prompts: [Float32Array.of(0, 0), Float32Array.of(1, 2)],
    prompt_of: Uint32Array.from({ length: COUNT }, (_, k) => k & 1),
    prompt_dropout: 0.5,
    min_snr: 5,
    drawing_px: SIDE,
  },
];

for (const spec of specs) {
  Deno.test(`batches of ${spec.kind} are the same to the byte with and without workers, however many`, async () => {
    const make = batchMaker(spec);
    for (const workers of [1, 3]) {
      using batches = new Batches(spec, workers);
      // In order, one of them again as a look does, and from the middle as a training does that goes on.
      for (const index of [0, 1, 2, 2, 3, 1000, 1001]) {
        const batch = await batches.get(index);
        const expected = make(index);
        assert.deepEqual(Object.keys(batch), Object.keys(expected));
        for (const [name, values] of Object.entries(expected)) {
          assert.deepEqual(batch[name], values, `${name} ${index}`);
        }
      }
    }
  });
}

Deno.test("drawnImages() are those that batches have", () => {
  const spec = { ...specs[2] as DiffusionBatches, latents: Float32Array.from({ length: COUNT }, (_, image) => image) };
  const make = batchMaker(spec);
  for (const batches of [0, 1, 2, 20]) {
    const had = Array.from({ length: batches }, (_, index) => [...make(index)["z"]!]).flat();
    assert.deepEqual([...drawnImages({ ...spec, count: COUNT }, batches)], [...new Set(had)]);
  }
});

Deno.test("what goes wrong with a batch is told to who asks for it", async () => {
  const [, spec] = specs;
  using batches = new Batches({ ...spec!, batch_size: -1 } as BatchSpec, 1);
  await assert.rejects(batches.get(0), RangeError);
});
