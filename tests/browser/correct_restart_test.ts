/**
 * A window of `deno task correct` in headless Chromium that stays open while its server ends and starts again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { CORRECTIONS, readCorrections } from "../../formats/corrections.ts";
import { formatPts } from "../../faces/pts.ts";
import { Browser, chromiumTest, type Page } from "../report_chromium.ts";
import { inFolder } from "../stages/run_stages.ts";
import {
  dragBy,
  facesIn,
  near,
  openPage,
  placeOf,
  ready,
  SAVED,
  Server,
  stateAt,
  TRUTH,
  truthOf,
} from "./correct_page.ts";

const STATUS = `document.querySelector("#status").textContent`;
const says = (page: Page, text: string) => page.until(`${STATUS} === ${JSON.stringify(text)}`);
const nothingLeftOut = async (page: Page) =>
  assert.doesNotMatch(await page.evaluate(`document.querySelector("#message").textContent`), /left out/);

/** Errors but those of a server that does not answer. */
const problemsOf = (page: Page) => page.problems.filter((text) => !/ERR_|Failed to load resource/.test(text));

chromiumTest(
  "correct: a window goes on with a server that is started again, and what it did meanwhile is kept",
  async () => {
    await inFolder(async (root) => {
      const dir = await facesIn(`${root}/faces`, 3);
      let server = await Server.start(dir);
      const { port, href } = new URL(server.url);
      const again = async () => {
        server = await Server.start(dir, "--port", port);
        assert.equal(server.url, href, "the address is the same");
      };
      const { mode } = await Deno.stat(`${dir}/${CORRECTIONS}.secret`);
      assert.equal(mode! & 0o777, 0o600);
      await using browser = await Browser.open();
      const page = await openPage(browser, server.url);
      await page.key("2");
      await dragBy(page, 30, -3, 0);
      await dragBy(page, 8, -3, 0);

      // Killed: what is done while it is away waits.
      await server.stop("SIGKILL");
      await says(page, "The server has stopped");
      const [x, y] = await placeOf(page, 33);
      await page.drag([x, y], [x - 20, y]);
      await says(page, "Not saved: the server has stopped");
      await page.key("a");
      await again();
      await page.until(SAVED);
      await nothingLeftOut(page);
      near(await stateAt(page, 0, 30), truthOf(30), 0.8);
      assert.ok((await stateAt(page, 0, 33))[0] < truthOf(33)[0]! + 2.5);

      // Ended in order: the new server's numbers of changes begin anew.
      await page.until(`document.querySelector('[data-face="0"]').classList.contains("accepted")`);
      await page.evaluate(`document.querySelector('[data-face="0"]').click()`);
      await ready(page, "0.png");
      await server.stop();
      await says(page, "The server has stopped");
      await again();
      await page.until(SAVED);
      await dragBy(page, 27, -3, 0);
      near(await stateAt(page, 0, 27), truthOf(27), 0.8);
      await nothingLeftOut(page);

      // Somebody else changed the face meanwhile: the change that waits is refused, and the page says so.
      await server.stop();
      await says(page, "The server has stopped");
      const [x1, y1] = await placeOf(page, 45);
      await page.drag([x1, y1], [x1 - 20, y1]);
      await says(page, "Not saved: the server has stopped");
      const line = readCorrections(dir).get("0.png#1")!;
      const other = { ...line, landmarks: line.landmarks.with(45, [1, 2]) };
      await Deno.writeTextFile(`${dir}/${CORRECTIONS}`, `${JSON.stringify(other)}\n`, { append: true });
      await again();
      await page.until(SAVED);
      assert.match(
        await page.evaluate(`document.querySelector("#message").textContent`),
        /your last change was left out/,
      );
      assert.deepEqual(await stateAt(page, 0, 45), [1, 2]);

      // Another secret: the page says what to do, and loses nothing.
      await server.stop();
      await says(page, "The server has stopped");
      const secret = await Deno.readTextFile(`${dir}/${CORRECTIONS}.secret`);
      await Deno.remove(`${dir}/${CORRECTIONS}.secret`);
      server = await Server.start(dir, "--port", port);
      await says(page, "The server has another address now, open the one that it printed");
      await page.key("2");
      const [x2, y2] = await placeOf(page, 20);
      await page.drag([x2, y2], [x2 - 20, y2]);
      await says(page, "Not saved: the server has another address now, open the one that it printed");
      await server.stop();
      await Deno.writeTextFile(`${dir}/${CORRECTIONS}.secret`, secret, { mode: 0o600 });
      await again();
      await page.until(SAVED);
      // It hears of others again, too.
      const heard = `document.querySelector('[data-face="1"]').classList.contains("accepted")`;
      for (let k = 0; k < 40 && !await page.evaluate(heard); k++) {
        await page.evaluate(`fetch("face/1").then((r) => r.json()).then(({ state, revision }) => fetch("set", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ face: 1, revision, state: { ...state, verdict: "accepted" } }),
        })).then(() => new Promise((resolve) => setTimeout(resolve, 500)))`);
      }
      assert.ok(await page.evaluate(heard));
      assert.deepEqual(problemsOf(page), []);
      await server.stop();
    });
  },
);

chromiumTest(
  "correct: a window whose folder has other faces now is loaded anew, and changes none of them",
  async () => {
    await inFolder(async (root) => {
      const dir = await facesIn(`${root}/faces`, 2);
      let server = await Server.start(dir);
      const { port } = new URL(server.url);
      await using browser = await Browser.open();
      const page = await openPage(browser, server.url);
      await server.stop();
      await says(page, "The server has stopped");
      const [x, y] = await placeOf(page, 30);
      await page.drag([x, y], [x - 20, y]);
      await says(page, "Not saved: the server has stopped");
      await Deno.rename(`${dir}/0.png`, `${dir}/7.png`);
      await Deno.rename(`${dir}/0.pts`, `${dir}/7.pts`);
      server = await Server.start(dir, "--port", port);
      await says(page, "The folder has other faces now: reload the page.");
      await server.stop();
      assert.equal(readCorrections(dir).size, 0);
      assert.equal(await Deno.readTextFile(`${dir}/7.pts`), formatPts(TRUTH.map((px, i) => i % 2 ? px : px + 3)));
    });
  },
);
