/** Runs a pipeline of fake stages in a folder of its own. */
import { join } from "node:path";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { type RunOptions, runPipeline } from "../../runtime/run/run.ts";
import { silent } from "../../runtime/run/progress.ts";
import { ran, registry } from "./fake_stages.ts";

const text = `
name: test
seed: 7
params: { lines: 2, styles: [] }
stages:
  report: { uses: fake/collect, in: { all: "*" } }
  second: { uses: fake/train, in: { data: extra, init: first }, with: { steps: 3 } }
  first: { uses: fake/train, in: { data: faces }, with: { steps: 4 } }
  faces: { uses: fake/draw, with: { count: \${lines} } }
  extra: { uses: fake/draw, with: { count: 3, styles: \${styles} } }
`;

/** A folder with a pipeline, and functions that read and run it. */
export function bench(yaml = text, dir = Deno.makeTempDirSync({ prefix: "facewright_" })) {
  const file = join(dir, "test.yaml");
  const root = join(dir, "runs");
  Deno.writeTextFileSync(file, yaml);
  const read = (...set: string[]) => readPipeline(file, registry, { set });
  const run = async (set: string[] = [], options: Partial<RunOptions> = {}) => {
    ran.length = 0;
    const pipeline = await read(...set);
    const summary = await runPipeline(pipeline, {
      root,
      reporter: silent,
      openDevice: () => Promise.reject(new Error("Cannot open a GPU in this test")),
      ...options,
    });
    return summary;
  };
  const at = (path: string) => Deno.readTextFileSync(join(root, "test", path));
  return { dir, file, root, read, run, at, [Symbol.dispose]: () => Deno.removeSync(dir, { recursive: true }) };
}

/** Starts a command about a pipeline in a process of its own. */
export function spawn(
  { dir, file }: { dir: string; file: string },
  command: string,
  ...sets: string[]
): Deno.ChildProcess {
  const permissions = ["--no-prompt", "-R", `-W=${dir}`, "--allow-env"];
  const script = new URL("run_fake.ts", import.meta.url).pathname;
  const args = ["run", "-q", ...permissions, script, command, file, ...sets.flatMap((set) => ["--set", set])];
  return new Deno.Command("deno", { args, cwd: dir, stdout: "piped", stderr: "piped" }).spawn();
}
