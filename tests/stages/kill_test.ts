import assert from "node:assert/strict";
import { join } from "node:path";
import { readManifest } from "../../runtime/run/cache.ts";
import { inFolder } from "./run_stages.ts";
import { slowTest } from "../slow.ts";

const text = `name: test
stages:
  faces: { uses: faces/render, with: { count: 6, size_px: 16 } }
  autoencoder:
    uses: autoencoder/train
    in: { data: faces }
    with: { steps: 2, batch_size: 2, lr: 1e-3, warmup_steps: 1, channels: [8, 8], groups: 2 }
  base:
    uses: diffusion/pretrain
    in: { model: autoencoder, data: faces }
    with: { steps: 2, batch_size: 2, lr: 1e-3, warmup_steps: 1, channels: [8, 8], groups: 2, heads: 2, text_width: 16, text_layers: 1 }
  stage1:
    uses: diffusion/train
    in: { model: base, data: faces }
    with: { steps: 24, batch_size: 2, lr: 1e-2, warmup_steps: 1, hint_channels: [8, 8], gradient_accumulation_steps: 2, checkpoint_every: 4 }
  synth:
    uses: dataset/generate
    in: { model: stage1, landmarks: faces }
    with: { styles: [ink], per_style: 10, steps: 2, batch_size: 2 }
`;

const KILLED = ["stage1", "synth"];
/** How often each of them is killed. */
const KILLS = 2;

/** A folder in which the command line runs, as it does for a user. */
async function prepare(dir: string): Promise<void> {
  for (const file of ["styles/photo.yaml", "styles/ink.yaml", "edits/open_eyes.yaml", "edits/mouth_shift.yaml"]) {
    const to = join(dir, "pipelines", file);
    await Deno.mkdir(join(to, ".."), { recursive: true });
    await Deno.copyFile(join("pipelines", file), to);
  }
  await Deno.writeTextFile(join(dir, "test.yaml"), text);
}

function start(dir: string): Deno.ChildProcess {
  const [config, script] = ["deno.json", "main.ts"].map((name) => new URL(`../../${name}`, import.meta.url).pathname);
  const permissions = ["--no-prompt", "--allow-read", "--allow-write=runs", "--allow-env"];
  const args = ["run", "-q", ...permissions, `--config=${config}`, script!, "run", "test.yaml", "--json"];
  // A user who calls the command in that folder; the tests' own may be another.
  const env = { INIT_CWD: dir };
  return new Deno.Command("deno", { args, cwd: dir, env, stdout: "piped", stderr: "piped" }).spawn();
}

/** Waits until a stage began; false if the run ended without it. */
async function began(child: Deno.ChildProcess, stage: string): Promise<boolean> {
  const reader = child.stdout.getReader();
  let told = "";
  try {
    for (let piece; (piece = (await reader.read()).value);) {
      told += new TextDecoder().decode(piece);
      if (told.includes(`"event":"stage","stage":"${stage}"`)) return true;
    }
    return false;
  } finally {
    reader.releaseLock();
  }
}

/** Every file of the stages that are killed, but for what tells when and how long. */
async function bytesOf(dir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const visit = async (path: string) => {
    for await (const { name, isDirectory } of Deno.readDir(join(dir, path))) {
      if (isDirectory) await visit(`${path}/${name}`);
      else if (!name.startsWith("manifest.")) {
        const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(join(dir, path, name)));
        files.set(`${path}/${name}`, new Uint8Array(hash).toHex());
      }
    }
  };
  for (const stage of KILLED) await visit(`runs/test/${stage}`);
  return files;
}

slowTest("a training and a generation killed at any moments end with the bytes of those that were not", async (t) => {
  await inFolder(async (dir) => {
    await prepare(dir);
    const { code, stderr } = await start(dir).output();
    const said = new TextDecoder().decode(stderr);
    if (/finds no adapter/.test(said)) {
      return void await t.step({ name: "skipped: there is no adapter", ignore: true, fn() {} });
    }
    assert.equal(code, 0, said);
    const whole = await bytesOf(dir);
    assert.ok(whole.has("runs/test/synth/images/000009.png") && whole.has("runs/test/stage1/metrics.jsonl"));
    const seconds = new Map(KILLED.map((stage) => [stage, readManifest(join(dir, `runs/test/${stage}`))!.seconds]));
    for (const stage of KILLED) await Deno.remove(join(dir, `runs/test/${stage}`), { recursive: true });

    const moments: string[] = [];
    for (const stage of KILLED) {
      for (let kill = 0; kill < KILLS; kill++) {
        const child = start(dir);
        if (await began(child, stage)) {
          const ms = Math.round(Math.random() * seconds.get(stage)! * 1000);
          moments.push(`${stage} after ${ms} ms`);
          await new Promise((resolve) => setTimeout(resolve, ms));
        }
        try {
          child.kill("SIGKILL");
        } catch (error) {
          if (!(error instanceof TypeError)) throw error; // it had ended
        }
        await child.output();
      }
    }
    const last = await start(dir).output();
    assert.equal(last.code, 0, new TextDecoder().decode(last.stderr));
    assert.deepEqual(await bytesOf(dir), whole, `killed in ${moments.join(", ")}`);
  });
});
