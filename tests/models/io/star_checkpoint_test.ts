import assert from "node:assert/strict";
import { runCommand } from "../../cli/run_command.ts";
import { detectorSpecs, readDetector, saveDetector } from "../../../models/detectors/detector.ts";
import { STAR_SIZES, starNetwork } from "../../../models/detectors/star_detector.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { exportDetector } from "../../../models/detectors/registry.ts";
import { hourglassConfig } from "../../../models/detectors/hourglass.ts";
import { type HostTensors, initialise } from "../../../models/io/params.ts";
import { saveStarCheckpoint, starState } from "../../../models/io/star_checkpoint.ts";
import { STAR_DERIVED } from "../../../models/detectors/star.ts";
import { elements } from "../../../engine/graph.ts";
import { readTorchArchive } from "../../../formats/torch_archive.ts";
import { inFolder } from "../../stages/run_stages.ts";

const KEYS = "../shared/golden/keys-star-";
const config = { model_type: "star", size_px: 32, stacks: 2, depth: 1, channels: 16, schema: "ibug68" } as const;
const tensors = initialise(detectorSpecs(config), 5);

Deno.test("a STAR detector exported as the original's checkpoint comes back the same", () =>
  inFolder(async (dir) => {
    await saveDetector(`${dir}/ours`, config, tensors);
    const args = ["export", "--detector", `${dir}/ours`, "--format", "star", "--out", `${dir}/star`];
    const { code, lines } = await runCommand(args);
    assert.equal(code, 0);
    const file = `${dir}/star/model/train.pkl`;
    assert.deepEqual(JSON.parse(lines[0]!), { file, size_px: 32, stacks: 2, channels: 16, published: false });
    assert.match((await runCommand(args)).notes, /star: it is there already/);

    assert.equal((await runCommand(["convert", file, `${dir}/back`])).code, 0);
    const back = await readDetector(`${dir}/back`);
    assert.partialDeepStrictEqual(back.config, { channels: 16, stacks: 2, size_px: 32 });
    for (const [name, { data }] of tensors) assert.deepEqual(back.tensors.get(name)!.data, data, name);
  }));

Deno.test("a STAR checkpoint holds net, net_ema, epoch and size_px, and each weight once", () =>
  inFolder(async (dir) => {
    const path = await saveStarCheckpoint(dir, starNetwork(config), detectorSpecs(config), tensors);
    using file = await readTorchArchive(path);
    const names = file.names.filter((name) => name.startsWith("net."));
    assert.deepEqual(
      file.names.filter((name) => !name.startsWith("net.")),
      [...names.map((n) => n.replace("net", "net_ema")), "size_px"],
    );
    assert.deepEqual((await file.read("size_px")).data, Float32Array.of(config.size_px));
    assert.deepEqual(file.info("net.pre.0.bn.num_batches_tracked"), { dtype: "I64", shape: [] });
    assert.deepEqual(file.info("net.pre.0.conv.weight"), { dtype: "F32", shape: [64, 6, 7, 7] });
    const { data } = await file.read("net.e2h_transform.weight");
    assert.deepEqual([data[0], data[9 * 17], data[9 * 17 + 1]], [1, 0, 1]);
    const floats = [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
    const { size } = await Deno.stat(path);
    assert.ok(size > 4 * floats && size < 4 * floats + 1000 * names.length, `${size} bytes of ${floats} floats`);
  }));

Deno.test("only a STAR network is exported as STAR", async () => {
  const hourglass = hourglassConfig.parse({});
  await assert.rejects(exportDetector("star", "/tmp/none", hourglass, new Map(), new Map()), {
    message:
      'Cannot export a compact hourglass as star: its network is another, hint: train with "star", or export as onnx',
  });
});

for (const [set, schema] of [["300w", "ibug68"], ["wflw", "wflw98"], ["cofw", "cofw29"]] as const) {
  Deno.test({
    name: `the published size has the names and shapes of the original's checkpoint of ${set} (needs ../shared)`,
    ignore: !(await Deno.stat(`${KEYS}${set}.json`).then(() => true, () => false)),
    async fn() {
      const published = { ...STAR_SIZES.star, schema };
      const specs = detectorSpecs(published);
      const zeros: HostTensors = new Map();
      for (const [name, { shape }] of specs) {
        zeros.set(name, { shape: [...shape], data: new Float32Array(elements(shape)) });
      }
      const state = starState(starNetwork(published), specs, zeros);
      const { keys, config } = JSON.parse(await Deno.readTextFile(`${KEYS}${set}.json`));
      assert.deepEqual(
        new Map([...state].map(([name, { shape }]) => [name, [...shape]])),
        new Map(Object.entries(keys)),
      );
      assert.equal([...state.keys()].filter((name) => STAR_DERIVED.test(name)).length, state.size - specs.size);
      const points = (edges: [boolean, number[]][]) => edges.map(([, points]) => points);
      assert.deepEqual(points(starNetwork(published).edge_info), points(config.edge_info));
      const { mirror, left_half } = SCHEMAS[schema];
      for (const [one, other] of config.flip_mapping) assert.equal(mirror[one], other);
      assert.equal(left_half.size, config.flip_mapping.length);
    },
  });
}
