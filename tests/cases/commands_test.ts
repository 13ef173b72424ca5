/**
 * The whole text that commands print for what users type and give them: tests/errors/commands.txt, which
 * `deno task test --allow-write=tests/errors tests/cases/commands_test.ts -- --update` writes anew; read it then.
 */
import assert from "node:assert/strict";
import { detectorSpecs, saveDetector } from "../../models/detectors/detector.ts";
import { hourglassConfig } from "../../models/detectors/hourglass.ts";
import { initialise } from "../../models/io/params.ts";
import { checkMessages } from "../errors/messages.ts";
import { encodeText, inFolder, run, writeFace } from "./_lib.ts";

const config = hourglassConfig.parse({ size_px: 32, heatmap_px: 16, stacks: 1, depth: 1, channels: 16, groups: 2 });

const PIPELINE = `name: p
params: { dir: { required: a folder }, size: 64 }
stages:
  faces: { uses: dataset/import, with: { path: "\${dir}", size_px: "\${size}" } }
`;

/** Command lines, words with blanks between. */
const COMMANDS = [
  "detect in/a.png --detector net --box 0.1,0.1,0.9,0.9",
  "detect in/a.png --detector net --box 10,20,30",
  "detect in/a.png --detector net --box 10,20,0,30",
  "detect in/a.png --detector net --boxes latin1.csv",
  "detect in/a.png --detector net --boxes binary.csv",
  "detect nowhere --detector net",
  "detect in/a.png --detector net --max-faces 0",
  "score --data in --predicted in --thresholds 0.08",
  "score --data in --predicted in --thresholds x",
  "score --data in --predicted nowhere",
  "score --data in --predicted a=in --predicted a=in",
  "benchmark --data nowhere",
  "validate latin1.yaml",
  "validate binary.yaml",
  "validate control.yaml",
  "validate p.yaml --set dir=nowhere",
  "validate p.yaml --set dir=in --set size=large",
  "validate p.yaml --set dir=in --set sise=32",
  "validate p.yaml --set dir",
  "run p.yaml --only nothing --set dir=in",
  "run p.yaml --tune=nothing --set dir=in",
  "status nowhere",
  "export-dataset in --format coco --out out",
  "export-dataset in --format nothing --out out",
  "page in --detector net --finder net",
  "page out --detector net --finder net",
  "slurm p.yaml --set dir=in --shard 1/2",
  "slurm p.yaml --set dir=in --shards 0",
  "slurm p.yaml --set dir=in --task nothing",
  "slurm p.yaml --set dir=in --task faces --shard 1/2",
  "slurm p.yaml --set dir=in --task faces --shard 3/2",
  "convert in --out out",
  "nothing",
];

Deno.test("what commands print for mistakes is the expected text, with exit code 2", () =>
  inFolder(async (dir) => {
    await saveDetector(`${dir}/net`, config, initialise(detectorSpecs(config), 3));
    await writeFace(`${dir}/in/a`);
    await Deno.writeFile(`${dir}/latin1.csv`, encodeText("Jos\u00e9,1,2,3,4\n", "latin1"));
    await Deno.writeFile(`${dir}/latin1.yaml`, encodeText("name: Jos\u00e9\n", "latin1"));
    for (const name of ["binary.csv", "binary.yaml"]) {
      await Deno.writeFile(`${dir}/${name}`, Uint8Array.of(80, 75, 3, 4, 0));
    }
    await Deno.writeTextFile(
      `${dir}/control.yaml`,
      'name: p\nstages:\n  "a\\u001b[31mb\\u202e": { uses: faces/render }\n',
    );
    await Deno.writeTextFile(`${dir}/p.yaml`, PIPELINE);
    const messages: Record<string, string> = {};
    for (const command of COMMANDS) {
      const { code, all } = await run(command.split(" "), dir);
      assert.equal(code, 2, `${command}: ${all}`);
      messages[command] = all.replace(/^device: .*\n/m, "");
    }
    checkMessages("commands", messages, dir);
  }));
