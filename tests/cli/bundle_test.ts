import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { readEntry, readTarDirectory } from "../../formats/tar.ts";
import { inFolder } from "../stages/run_stages.ts";
import { slowTest } from "../slow.ts";
import { runCommand } from "./run_command.ts";

slowTest("bundle has Deno and all packages: unpacked, it runs with nothing else and without a network", async () => {
  await inFolder(async (dir) => {
    const root = new URL("../../", import.meta.url).pathname;
    const run = async (args: string[], cwd: string, env: Record<string, string> = {}) => {
      const { code, stdout, stderr } = await new Deno.Command("deno", { args, cwd, env: { NO_COLOR: "1", ...env } })
        .output();
      return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
    };
    const out = join(dir, "fw.tar.gz");
    const flags = ["run", "-q", "--no-prompt", "-P=cli"];
    const packed = await run([
      ...flags,
      `--allow-write=${dir}`,
      "--allow-run=deno",
      "main.ts",
      "bundle",
      out,
      "--no-tests",
    ], root);
    assert.equal(packed.code, 0, packed.text);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["fw.tar.gz"]);

    const { readable } = await Deno.open(out);
    await Deno.writeFile(join(dir, "fw.tar"), readable.pipeThrough(new DecompressionStream("gzip")));
    const entries = readTarDirectory(join(dir, "fw.tar"));
    for (const path of ["denow", ".deno/bin/deno", "models/faces/model.safetensors", "pipelines/full.yaml"]) {
      assert.ok(entries.has(`facewright/${path}`), path);
    }
    for (const [path, entry] of entries) {
      if (path === "facewright/.deno/bin/deno") continue;
      await Deno.mkdir(dirname(join(dir, path)), { recursive: true });
      await Deno.writeFile(join(dir, path), await readEntry(join(dir, "fw.tar"), entry), {
        mode: path.includes("/.deno/cache/dl/") ? 0o755 : 0o644,
      });
    }
    const home = join(dir, "facewright");
    const env = { DENO_DIR: join(home, ".deno/cache"), HOME: join(dir, "home"), INIT_CWD: home };
    const { code, text } = await run(
      [...flags.toSpliced(1, 0, "--cached-only"), "main.ts", "validate", "pipelines"],
      home,
      env,
    );
    assert.equal(code, 0, text);
    assert.match(text, /^ok pipelines\/full\.yaml/m);

    // `page` has Deno bundle, which downloads esbuild where it is missing: here by a proxy that is not there.
    const page = join(dir, "page");
    const written = await run(
      [...flags, `--allow-write=${dir}`, "--allow-run=deno", "main.ts", "page", page],
      home,
      { ...env, HTTPS_PROXY: "http://127.0.0.1:9" },
    );
    assert.equal(written.code, 0, written.text);
    assert.ok((await Deno.stat(join(page, "app.js"))).size > 100_000);
  });
});

Deno.test("bundle refuses a name that is no archive's, and writes nothing", async () => {
  const { code, notes } = await runCommand(["bundle", "/tmp/facewright.zip"]);
  assert.equal(code, 2);
  assert.match(notes, /^Cannot write a bundle to "\/tmp\/facewright\.zip", hint: it is a \.tar\.gz file/);
});
