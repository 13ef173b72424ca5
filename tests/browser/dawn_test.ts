/**
 * A second opinion on all WGSL: the tests of every op and steps of training run in headless Chromium, whose WebGPU is Dawn,
 * and the renderer's shaders are compiled there.
 *
 * The modules are bundled for browsers as they are. The page gets an assert module, and a `Deno.test` that collects the
 * tests; it posts each result to a server of this test.
 *
 * @module
 */
import assert from "node:assert/strict";
import { openDevice } from "../../engine/device.ts";
import { hasChromium } from "../report_chromium.ts";
import { trainingLosses } from "./workloads.ts";

const root = new URL("../../", import.meta.url);
const FLAGS = ["--headless=new", "--no-sandbox", "--no-first-run", "--disable-dev-shm-usage"];
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
/** Longest time that one test may take, seconds. */
const PATIENCE_S = 180;
/**
 * Largest difference of a loss between two implementations, as a share of it: of the first step, and of those after it.
 * Adam divides a gradient by its own size, so that rounding decides where it moves a parameter whose gradient is almost 0.
 */
const [FIRST, LATER] = [1e-5, 3e-3];

/** Report that the page posts. */
interface Report {
  readonly tests: { name: string; error?: string; ms: number }[];
  readonly losses?: Record<string, number[]>;
  readonly renderer?: string[];
  readonly adapter?: string;
  /** An error outside of the tests. */
  readonly broken?: string;
}

const PAGE = `<!doctype html>
  <script type="importmap">{ "imports": { "node:assert": "/assert.js", "node:assert/strict": "/assert.js" } }</script>
  <script>
    globalThis.collected = { before: [], tests: [], after: [] };
    const test = (a, b) => collected.tests.push(typeof a === "string" ? { name: a, fn: b } : a);
    globalThis.Deno = {
      test: Object.assign(test, {
        beforeAll: (fn) => collected.before.push(fn),
        afterAll: (fn) => collected.after.push(fn),
      }),
    };
    const broken = (message) => fetch("/report", { method: "POST", body: JSON.stringify({ tests: [], broken: message }) });
    addEventListener("error", ({ message }) => broken(message));
  </script>
  <script type="module" src="/bundle.js" onerror="broken('the bundle, or what it imports, cannot be loaded')"></script>`;

/** The entry of the bundle: imports the tests of some ops, runs them one by one, then trains. */
const entry = (files: readonly string[]) => `
  ${files.map((file) => `import ${JSON.stringify(file)};`).join("\n")}
  import { openDevice } from ${JSON.stringify(new URL("engine/device.ts", root).href)};
  import { rendererErrors, trainingLosses } from ${JSON.stringify(new URL("tests/browser/workloads.ts", root).href)};
  const report = { tests: [] };
  try {
    const { before, tests, after } = globalThis.collected;
    for (const fn of before) await fn();
    for (const { name, fn, ignore } of tests) {
      if (ignore) continue;
      await fetch("/progress", { method: "POST", body: name });
      const start = performance.now();
      const error = await Promise.resolve().then(fn).then(() => undefined, (error) => String(error?.stack ?? error));
      report.tests.push({ name, error, ms: performance.now() - start });
    }
    for (const fn of after) await fn();
    await fetch("/progress", { method: "POST", body: "training" });
    const device = await openDevice();
    report.adapter = device.name;
    report.losses = await trainingLosses(device);
    report.renderer = await rendererErrors(device);
    device.check();
  } catch (error) {
    report.broken = String(error?.stack ?? error);
  }
  await fetch("/report", { method: "POST", body: JSON.stringify(report) });
`;

/** Bundles a module for browsers. */
async function bundle(file: string, to: string): Promise<void> {
  const args = ["bundle", "-q", "--platform", "browser", "--external", "node:assert", "--external"];
  args.push("node:assert/strict", "--config", new URL("deno.json", root).pathname, "-o", to, file);
  const { success, stderr } = await new Deno.Command("deno", { args, stdout: "null" }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** Serves the page, opens it in Chromium, and waits for its report. */
async function runInChromium(dir: string): Promise<Report> {
  const reported = Promise.withResolvers<Report>();
  let doing = "loading", since = performance.now();
  const watch = setInterval(() => {
    const seconds = (performance.now() - since) / 1000;
    if (seconds > PATIENCE_S) reported.reject(new Error(`Chromium has been at "${doing}" for ${seconds.toFixed(0)} s`));
  }, 1000);
  const type = (name: string) => ({ headers: { "content-type": `text/${name}` } });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    switch (new URL(request.url).pathname) {
      case "/":
        return new Response(PAGE, type("html"));
      case "/bundle.js":
        return new Response(await Deno.readFile(`${dir}/bundle.js`), type("javascript"));
      case "/assert.js":
        return new Response(await Deno.readFile(new URL("assert.js", import.meta.url)), type("javascript"));
      case "/progress":
        [doing, since] = [await request.text(), performance.now()];
        if (verbose) note(doing);
        return new Response();
      case "/report":
        reported.resolve(await request.json());
        return new Response();
      default:
        return new Response(null, { status: 404 });
    }
  });
  const args = [...FLAGS, ...WEBGPU, `--user-data-dir=${dir}/profile`, `http://127.0.0.1:${server.addr.port}/`];
  const browser = new Deno.Command("chromium", { args, stdout: "null", stderr: "null" }).spawn();
  const ended = browser.status.then(({ code }) => Promise.reject(new Error(`Chromium ended with ${code}`)));
  ended.catch(() => {});
  try {
    return await Promise.race([reported.promise, ended]);
  } finally {
    clearInterval(watch);
    browser.kill();
    await browser.status;
  }
}

/** Writes a line of `--verbose`. */
const note = (line: string) => Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
const verbose = Deno.args.includes("--verbose");
/** Part of the names of ops: `-- --ops=conv2d` runs these only. */
const only = Deno.args.find((arg) => arg.startsWith("--ops="))?.slice("--ops=".length) ?? "";
const reason = !Deno.args.includes("--slow")
  ? "it takes minutes, hint: deno task test:dawn"
  : hasChromium()
  ? undefined
  : "there is no Chromium, hint: apt-get install chromium";

Deno.test({
  name: `every op, training steps and the renderer's shaders on Dawn${
    reason === undefined ? "" : `: skipped, as ${reason}`
  }`,
  ignore: reason !== undefined,
  async fn() {
    const ops = new URL("tests/ops/", root);
    const files = [...Deno.readDirSync(ops)].map(({ name }) => name).filter((name) =>
      // Tests that read files stay here.
      name.endsWith("_test.ts") && name.includes(only) &&
      !/\bDeno\.(?!test)/.test(Deno.readTextFileSync(new URL(name, ops)))
    ).sort();
    const dir = await Deno.makeTempDir({ prefix: "facewright_" });
    try {
      await Deno.writeTextFile(`${dir}/entry.ts`, entry(files.map((name) => new URL(name, ops).href)));
      await bundle(`${dir}/entry.ts`, `${dir}/bundle.js`);
      const { tests, losses, renderer, broken, adapter } = await runInChromium(dir);
      const failed = tests.filter(({ error }) => error !== undefined);
      if (verbose) {
        const slow = tests.toSorted((a, b) => b.ms - a.ms).slice(0, 30);
        for (const { name, ms } of slow) note(`${(ms / 1000).toFixed(1)} s ${name}`);
        note(`${tests.length} tests on ${adapter}`);
      }
      assert.deepEqual(failed.map(({ name, error }) => `${name}: ${error}`), []);
      assert.equal(broken, undefined);
      assert.deepEqual(renderer, []);
      assert.ok(tests.length >= files.length, `${tests.length} tests of ${files.length} files`);
      const device = await openDevice();
      const here = await trainingLosses(device);
      device.destroy();
      assert.deepEqual(Object.keys(losses!), Object.keys(here));
      for (const [name, values] of Object.entries(here)) {
        values.forEach((value, step) => {
          const other = losses![name]![step]!;
          const error = Math.abs(other / value - 1);
          if (verbose) note(`${name}, step ${step}: ${value}, error ${error}`);
          assert.ok(error < (step ? LATER : FIRST), `${name}, step ${step}: ${other} on Dawn, ${value} here`);
        });
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
