import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { createImage, type Image } from "../../faces/data/image.ts";
import { readEdits } from "../../faces/edit_file.ts";
import { loadStyle } from "../../faces/render/styles.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { Random } from "../../engine/rng.ts";
import { uploadParameters } from "../../models/io/params.ts";
import { openModel, readModel } from "../../models/io/pipeline_folder.ts";
import { type MixtureOptions, planPairs } from "../../stages/dataset/_pairs.ts";
import { ImageGenerator } from "../../stages/lib/painting.ts";
import { type GeneratorOptions, samplerOf } from "../../stages/lib/sampling.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { gpuTest } from "../gpu.ts";
import { inFolder } from "./run_stages.ts";

Deno.test("mixtures leave the rest of the pairs as it is; styles may have the same faces; images are those of the landmarks", () =>
  inFolder(async (dir) => {
    const writer = await DatasetWriter.create(dir, SCHEMAS.ibug68);
    for (let i = 0; i < 3; i++) {
      const image = createImage(32, 32);
      image.data.set([200, i, 0]); // the first pixel
      await writer.add(image, {
        style: "photo",
        group: `${i}`,
        landmarks: neutralFace(32).map((v) => v + i),
      });
    }
    await writer.close();
    const source = await openDataset(dir);
    const names = ["ink", "anime", "woodcut"];
    const styles = await Promise.all(names.map((name) => loadStyle(`pipelines/styles/${name}.yaml`)));
    const edits = await readEdits("pipelines/edits");
    const options = { per_style: 40, mirror: true, edits: { pick: 1 } };
    const plan = (mixture?: MixtureOptions) => planPairs(5, source, styles, edits, { ...options, mixture });
    const plain = plan(), mixed = plan({ fraction: 0.4, by: "embedding", share: [0.2, 0.5] });
    const words = plan({ fraction: 1, by: "words", share: [0.3, 0.7] });
    const others = new Set<string>();
    let count = 0;
    for (const index of plain.all) {
      const [pair, before] = [mixed.pair(index), plain.pair(index)];
      assert.deepEqual(pair.landmarks, before.landmarks);
      assert.deepEqual(pair.edits, before.edits);
      assert.equal(words.pair(index).style, "mixed");
      const mixture = mixed.mixtureOf(index), own = mixed.styleOf(index).style;
      if (!mixture) {
        assert.deepEqual(pair, before);
        continue;
      }
      count++;
      assert.notEqual(mixture.style.style, own);
      others.add(`${own}, ${mixture.style.style}`);
      assert.ok(mixture.share >= 0.2 && mixture.share <= 0.5);
      assert.equal(pair.style, "mixed");
      const [first, second] = [1 - mixture.share, mixture.share].map((share) => share.toFixed(2));
      assert.equal(
        pair.prompt,
        `${first} a portrait of ${own} style + ${second} a portrait of ${mixture.style.style} style`,
      );
    }
    assert.ok(count > 30 && count < 66, `${count} of 120`);
    assert.equal(others.size, 6, "each style with each other");
    // An image to begin with is the one of the landmarks, mirrored as they are.
    const begun = planPairs(5, source, styles, edits, { ...options, edits: { pick: 0 }, strength: 0.5 });
    assert.equal(await plain.imageOf(0), null);
    const seen = new Set<boolean>();
    for (const index of begun.all.slice(0, 12)) {
      const [file, mirrored] = begun.pair(index).source!.split(", ");
      const face = source.records.findIndex(({ file_name }) => file_name === file);
      const image = await begun.imageOf(index);
      const corner = 3 * (mirrored ? 31 : 0);
      assert.deepEqual([...image!.data.subarray(corner, corner + 3)], [200, face, 0]);
      seen.add(mirrored !== undefined);
    }
    assert.equal(seen.size, 2);
    // The same faces in all styles: those of the first pairs, one a round.
    const same = planPairs(5, source, styles, edits, { ...options, same_landmarks: true });
    for (const index of same.all) {
      const face = Math.floor(index / 3), { landmarks, edits, group, style } = same.pair(index);
      assert.deepEqual([landmarks, edits], [plain.pair(face).landmarks, plain.pair(face).edits]);
      assert.deepEqual([group, style], [`pair-${face}`, names[index % 3]]);
    }
    assert.match(words.pair(0).prompt!, /^a portrait of ink, (anime|woodcut) style$/);
  }));

gpuTest(
  "mixtures go from the first prompt to the second, and images with little noise come back",
  async (device) => {
    const { controlnet, ...rest } = await openModel("models/tiny");
    const model = { ...rest, controlnet: controlnet! };
    const plain = { steps: 3, guidance: 2, eta: 0, control_scale: 1, batch_size: 2 };
    const { specs } = samplerOf(model, 64, model.tokenizer.length, plain);
    const parameters = await uploadParameters(device, readModel(model, specs));
    const prompts = ["a portrait of ink style", "a portrait of anime style"] as const;
    const paint = async (options: GeneratorOptions, prompt: string, share?: number): Promise<Image> => {
      using generator = new ImageGenerator(device, model, 64, options, parameters);
      const request = { landmarks: neutralFace(64), schema: SCHEMAS.ibug68, prompt, random: new Random(3, "pairs") };
      const [image] = await generator.generate([
        share === undefined ? request : { ...request, mixture: { prompt: prompts[1], share } },
      ]);
      return image!;
    };
    const mixing = { ...plain, mixture: {} };
    const distance = (a: Image, b: Image) =>
      a.data.reduce((sum, v, k) => sum + Math.abs(v - b.data[k]!), 0) / a.data.length;
    const [ink, anime] = [await paint(plain, prompts[0]), await paint(plain, prompts[1])];
    const mixtures: Image[] = [];
    for (const share of [0, 0.5, 1]) mixtures.push(await paint(mixing, prompts[0], share));
    const [none, half, all] = mixtures;
    const apart = distance(ink, anime);
    assert.ok(apart > 3, `${apart}`);
    assert.ok(distance(none!, ink) < 0.05 && distance(all!, anime) < 0.05);
    assert.ok(distance(await paint(mixing, prompts[0]), ink) < 0.05, "a request without a mixture");
    for (const one of [ink, anime]) assert.ok(distance(half!, one) > 0.1 * apart);
    // An image with little noise comes back as the autoencoder has it, one with much noise does not.
    const back: number[] = [];
    for (const strength of [0.1, 0.7]) {
      const options = { ...plain, steps: 10, strength };
      const all = samplerOf(model, 64, model.tokenizer.length, options).specs;
      const more = await uploadParameters(
        device,
        readModel(model, new Map([...all].filter(([name]) => !specs.has(name)))),
      );
      using generator = new ImageGenerator(device, model, 64, options, new Map([...parameters, ...more]));
      const request = {
        landmarks: neutralFace(64),
        schema: SCHEMAS.ibug68,
        prompt: prompts[1],
        random: new Random(8, "image"),
      };
      const [image] = await generator.generate([{ ...request, image: ink }]);
      back.push(distance(image!, ink));
      await assert.rejects(() => generator.generate([request]), /Cannot begin with an image: none is given/);
      for (const tensor of more.values()) tensor.destroy();
    }
    assert.ok(back[0]! < 12 && back[1]! > 2 * back[0]!, `${back}`);
    for (const tensor of parameters.values()) tensor.destroy();
  },
);
