import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { createImage } from "../faces/data/image.ts";
import { writePng } from "../faces/data/image_file.ts";
import { readPipeline } from "../runtime/pipeline/file.ts";
import { runPipeline } from "../runtime/run/run.ts";
import { silent } from "../runtime/run/progress.ts";
import { stage } from "../runtime/stage.ts";
import { serveRun } from "../cli/watch.ts";
import { Browser, hasChromium, type Page } from "./report_chromium.ts";
import { reportIn } from "./stages/report_run.ts";
import { inFolder } from "./stages/run_stages.ts";

const desk = { width: 1280, height: 900 };
const phone = { width: 390, height: 844, phone: true };

async function assertSound(page: Page, url: string): Promise<void> {
  assert.deepEqual(page.problems, [], "the console stays empty");
  assert.deepEqual(page.requests.filter((asked) => !asked.startsWith(url)), [], "nothing is loaded from elsewhere");
  const broken = "[...document.images].filter(({ naturalWidth }) => !naturalWidth).map(({ alt }) => alt)";
  assert.deepEqual(await page.evaluate(broken), [], "every image loads");
  assert.ok(await page.evaluate("document.images.length > 0"));
  const wide = "document.documentElement.scrollWidth - innerWidth";
  assert.equal(await page.evaluate(wide), 0, "the page does not scroll sideways");
}

const overlay = (i: number) => `+getComputedStyle(document.querySelectorAll(".face .truth")[${i}]).opacity`;

Deno.test("pages hold what they promise in Chromium", { ignore: !hasChromium() }, async (t) => {
  await using browser = await Browser.open();

  await t.step("a report, on a desk and on a phone", async () => {
    await inFolder(async (dir) => {
      const url = pathToFileURL(await reportIn(dir)).href;
      const page = await browser.visit(url, desk);
      await assertSound(page, url);
      assert.deepEqual(page.requests, [url]);
      assert.equal(await page.evaluate(overlay(0)), 0);
      await page.point(".face");
      await page.until(`${overlay(0)} === 1`);

      const small = await browser.visit(url, { ...phone, dark: true });
      await assertSound(small, url);
      await small.point(".face", "tap");
      await small.until(`${overlay(0)} === 1`);
    });
  });

  await t.step("the page of watch, which follows a run by itself", async () => {
    await inFolder(async (root) => {
      const dir = join(root, "runs/live");
      await Deno.writeTextFile(join(root, "live.yaml"), "stages: { slow: { uses: fake/slow } }");
      let server: Deno.HttpServer<Deno.NetAddr> | undefined, page: Page | undefined, url = "";
      const slow = stage({
        id: "fake/slow",
        doc: "Is looked at while it runs.",
        version: 1,
        inputs: {},
        output: "dataset",
        options: z.object({}),
        async run(ctx) {
          for (let step = 1; step <= 3; step++) ctx.metric({ step, loss: 1 / step });
          await writePng(join(ctx.dir, "look.png"), createImage(8, 8));
          ctx.progress(3, 10);
          server = serveRun(dir, 0);
          url = `http://127.0.0.1:${server.addr.port}/`;
          page = await browser.visit(url, phone);
          await page.until("document.images.length === 1 && document.images[0].complete");
          await assertSound(page, url);
          await page.evaluate("window.before = true");
          ctx.progress(10, 10);
        },
      });
      const pipeline = await readPipeline(join(root, "live.yaml"), { "fake/slow": () => Promise.resolve(slow) });
      const openDevice = () => assert.fail("no GPU is needed");
      await runPipeline(pipeline, { root: join(root, "runs"), reporter: silent, openDevice });
      await page!.until("document.querySelector('td.done')");
      assert.ok(await page!.evaluate("window.before"), "the page was not loaded again");
      assert.match(await page!.evaluate("document.title"), /^done: live/);
      await assertSound(page!, url);
      const offline = "getComputedStyle(document.querySelector('.offline')).display";
      assert.equal(await page!.evaluate(offline), "none");
      await page!.evaluate("source.onerror(), source.close()");
      assert.equal(await page!.evaluate(offline), "block", "the page says when its server is gone");
      const stopped = server!.shutdown();
      await stopped;
    });
  });
});
