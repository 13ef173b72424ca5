import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { exists } from "../../formats/files.ts";
import { stage } from "../../runtime/stage.ts";
import { slow } from "../slow.ts";
import { inFolder } from "../stages/run_stages.ts";
import { runCommand } from "./run_command.ts";

const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";
const LAVAPIPE = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
const both = { ignore: ![SWIFTSHADER, LAVAPIPE].every(exists) };

/**
 * Runs the program in a process of its own, whose drivers are those of the environment. With SwiftShader and lavapipe in one
 * process, one of some 160 ends crashed as the drivers are unloaded, after all was printed: such a run is made again.
 */
async function program(args: string[], VK_DRIVER_FILES: string, cwd?: string) {
  const root = new URL("../../", import.meta.url).pathname;
  const flags = ["--no-prompt", "-q", `--config=${root}deno.json`, "-P=cli", "--allow-write=runs"];
  const shown = { NO_COLOR: "1", XDG_RUNTIME_DIR: "/tmp", ...cwd && { INIT_CWD: cwd } };
  const env = { VK_DRIVER_FILES, DENO_WEBGPU_BACKEND: "vulkan", ...shown };
  const command = new Deno.Command("deno", {
    args: ["run", ...flags, `${root}main.ts`, ...args],
    env,
    ...cwd && { cwd },
  });
  let ended = await command.output();
  if (ended.signal === "SIGSEGV") ended = await command.output();
  const { code, stdout, stderr } = ended;
  const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, errors: errors! };
}

Deno.test({
  name: "doctor --list has every driver's adapter, and --gpu takes one by a part of its name",
  ...both,
  async fn() {
    const drivers = `${SWIFTSHADER}:${LAVAPIPE}`;
    const list = await program(["doctor", "--json"], drivers);
    assert.deepEqual([list.code, list.errors], [0, ""]);
    const adapters: { description: string; driver: string; software: boolean; memory: number }[] = JSON.parse(list.out);
    assert.deepEqual(adapters.map(({ driver, software }) => [driver, software]), [[SWIFTSHADER, true], [
      LAVAPIPE,
      true,
    ]]);
    assert.ok(adapters.every(({ memory }) => memory > 2 ** 28), "a software driver has the machine's memory");
    const { code, out, errors } = await program(["doctor", "--gpu", "LLVM"], drivers);
    assert.deepEqual([code, out.match(/^adapter .*/)![0].includes("llvmpipe")], [0, true]);
    assert.match(errors, /^device: llvmpipe .*, a software driver: the processor computes\n$/);
    const wrong = await program(["doctor", "--gpu", "H100"], drivers);
    assert.equal(wrong.code, 2);
    assert.match(wrong.errors, /^Cannot use GPU "H100" as .*, hint: adapters: 0: SwiftShader .*, 1: llvmpipe /);
  },
});

Deno.test("a driver that VK_DRIVER_FILES names and that is not there is named", async () => {
  const { code, errors } = await program(["doctor"], "/no/driver.json");
  assert.equal(code, 1);
  assert.match(
    errors,
    /^Cannot open a GPU as VK_DRIVER_FILES or VK_ICD_FILENAMES names \/no\/driver.json, where there is/,
  );
});

Deno.test({
  name: "run names its device, and shares out stages among the GPUs of the key `device`",
  ignore: both.ignore || slow.ignore,
  async fn() {
    await inFolder(async (dir) => {
      const styles = new URL("../../pipelines/styles/", import.meta.url);
      await Deno.mkdir(join(dir, "pipelines/styles"), { recursive: true });
      for (const { name, isFile } of Deno.readDirSync(styles)) {
        if (isFile) await Deno.copyFile(new URL(name, styles), join(dir, "pipelines/styles", name));
      }
      const faces = "uses: faces/render, with: { count: 2, size_px: 32 }";
      await Deno.writeTextFile(
        join(dir, "two.yaml"),
        `name: two\njobs: 2\ndevice: [swift, 1]\nstages: { a: { ${faces} }, b: { ${faces} } }\n`,
      );
      const { code, out } = await program(["run", "two.yaml"], `${SWIFTSHADER}:${LAVAPIPE}`, dir);
      assert.equal(code, 0);
      assert.match(out, /^device: SwiftShader .*, llvmpipe /);
      const used = ["a", "b"].map((id) =>
        JSON.parse(Deno.readTextFileSync(join(dir, `runs/two/${id}/manifest.json`))).adapter
      );
      assert.deepEqual(used.map((name: string) => /SwiftShader|llvmpipe/.exec(name)![0]).sort(), [
        "SwiftShader",
        "llvmpipe",
      ]);
      // A run on more GPUs than stages go side by side would leave some idle.
      const more = await program(["run", "two.yaml", "--set", "jobs=1"], `${SWIFTSHADER}:${LAVAPIPE}`, dir);
      assert.equal(more.code, 2);
      assert.match(more.errors, /on 2 GPUs as its jobs are 1, hint: --set jobs=2/);
    });
  },
});

Deno.test("plan names a stage that takes more memory than the device has", async () => {
  await inFolder(async (dir) => {
    const stages = [1e15, 1e3].map((gpu_bytes) =>
      stage({
        id: `fake/${gpu_bytes}`,
        doc: "Takes memory.",
        version: 1,
        inputs: {},
        output: "dataset",
        options: z.object({}),
        cost: () => Promise.resolve({ gpu_bytes }),
        run: () => assert.fail("plan runs nothing"),
      })
    );
    const file = join(dir, "big.yaml");
    const [big, small] = stages.map(({ id }) => `{ uses: "${id}" }`);
    await Deno.writeTextFile(file, `stages: { big: ${big}, small: ${small} }`);
    const registry = Object.fromEntries(stages.map((spec) => [spec.id, () => Promise.resolve(spec)]));
    const { code, lines } = await runCommand(["plan", file], registry);
    assert.equal(code, 0);
    const said = lines.filter((line) => line.includes("on the device"));
    assert.equal(said.length, 1);
    assert.match(said[0]!, /stage "big" takes 1.00 PB on the device, and .* has .*, hint: a smaller batch_size/);
  });
});
