/**
 * The fit of a detector to corrected faces, from the page of `deno task correct` in headless Chromium.
 *
 * @module
 */
import assert from "node:assert/strict";
import { drawLandmarks } from "../../faces/draw.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { formatPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { Browser, chromiumTest, type Page } from "../report_chromium.ts";
import { facesIn, openPage, ready, ROOT, SAVED, Server } from "./correct_page.ts";
import { inFolder } from "../stages/run_stages.ts";

const SIDE = 96, FACES = 24;

/** Faces that differ in place, and beside them styles and a small adapt.yaml. */
async function prepare(root: string): Promise<string> {
  const dir = `${root}/faces`, face = neutralFace(SIDE);
  await Deno.mkdir(dir);
  for (let k = 0; k < FACES; k++) {
    const landmarks = Float32Array.from(face, (px, i) => px + (i % 2 ? k / 8 : -k / 6));
    await writePng(`${dir}/${k}.png`, drawLandmarks(landmarks, SCHEMAS.ibug68, SIDE));
    await Deno.writeTextFile(`${dir}/${k}.pts`, formatPts(landmarks));
  }
  for (const folder of ["pipelines/styles", "pipelines/styles/validation"]) {
    await Deno.mkdir(`${root}/${folder}`, { recursive: true });
    for (const { name, isFile } of Deno.readDirSync(`${ROOT}${folder}`)) {
      if (isFile) await Deno.copyFile(`${ROOT}${folder}/${name}`, `${root}/${folder}/${name}`);
    }
  }
  const text = await Deno.readTextFile(`${ROOT}pipelines/adapt.yaml`);
  await Deno.writeTextFile(
    `${root}/adapt.yaml`,
    text.replaceAll("count: 120", "count: 4").replaceAll("count: 60", "count: 4").replace(
      "per_style: 12",
      "per_style: 1",
    ),
  );
  return dir;
}

/** Starts the server with a detector and settings that take seconds. */
function start(root: string, dir: string): Promise<Server> {
  const tiny = `${ROOT}models/tiny/detector`;
  const set = ["size_px=64", "steps=40", `detector=${tiny}`].flatMap((value) => ["--set", value]);
  return Server.startIn(root, dir, "--detector", tiny, "--pipeline", `${root}/adapt.yaml`, ...set);
}

const click = (page: Page, id: string) => page.evaluate(`document.querySelector("#${id}").click()`);
const text = (page: Page, id: string) => page.evaluate<string>(`document.querySelector("#${id}").innerText`);
const STATUS = `document.querySelector("#adapt-status").textContent`;
const ACCEPTED = `document.querySelectorAll("#faces .face.accepted").length`;

chromiumTest("correct: the detector is adapted from the page, which may be reloaded, and guesses with it", async () => {
  await inFolder(async (root) => {
    const dir = await prepare(root);
    let server = await start(root, dir);
    await using browser = await Browser.open();
    const visit = async () => {
      const page = await browser.visit(server.url, { width: 1280, height: 900 });
      await page.until(`document.querySelector("#stage image")?.getAttribute("href")`);
      await page.until(`!document.querySelector("#adapt-open").hidden`);
      return page;
    };
    let page = await visit();
    await page.evaluate(`(document.querySelector("#order").value = "folder",
      document.querySelector("#order").dispatchEvent(new Event("change")))`);
    await page.key("a");
    await page.until(`${ACCEPTED} === 1`);
    await page.key("d");
    await page.until(`document.querySelector("#adapt").open`);
    assert.match(
      await text(page, "adapt-faces"),
      /^1 face is accepted or corrected; a fit needs at least 20, so 19 more/,
    );
    assert.ok(await page.evaluate(`document.querySelector("#adapt-start").disabled`));
    const refused = `fetch("adapt", { method: "POST", headers: { "content-type": "application/json" },
      body: '{"act":"start"}' }).then(async (r) => [r.status, await r.text()])`;
    const [status, reason] = await page.evaluate<[number, string]>(refused);
    assert.equal(status, 422);
    assert.match(
      reason,
      /Cannot adapt a detector to 1 face .*: 20 are needed at least, hint: accept or correct 19 more/,
    );
    page.problems.length = 0; // the browser notes an answer that is no success
    await page.key("Escape");
    await page.evaluate(`(async () => {
      for (let face = 1; face < 21; face++) {
        const { state, revision } = await (await fetch("face/" + face)).json();
        const body = JSON.stringify({ face, revision, state: { ...state, verdict: "accepted" } });
        await fetch("set", { method: "POST", headers: { "content-type": "application/json" }, body });
      }
    })()`);
    await page.until(`${ACCEPTED} === 21`);
    await page.key("d");
    await click(page, "adapt-start");
    // Its training can be stopped, and goes on.
    await page.until(
      `document.querySelector("#adapt-stages").innerText.match(/tuned\\s+\\d+ of 40, loss 0?\\.?\\d/)`,
      120,
    );
    await click(page, "adapt-cancel");
    await page.until(`${STATUS}.includes("It was stopped")`, 60);
    assert.equal(await text(page, "adapt-start"), "Go on");
    await click(page, "adapt-start");
    await page.until(`${STATUS}.includes("is being adapted")`);
    page = await visit();
    await page.until(`${STATUS}.includes("is being adapted")`);
    assert.match(await text(page, "adapt-open"), /^Adapting/);
    await page.key("d");
    await page.until(`${STATUS}.includes("The detector is adapted")`, 120);
    const table = await text(page, "adapt-results");
    assert.match(table, /your faces, held back from training\s+\d+\s+\d+\.\d\d % .*\d+\.\d\d %/);
    assert.match(table, /rendered photographs\s+4\s/);
    assert.equal(await text(page, "adapt-weights"), "runs/adapt/detector");
    assert.ok((await Deno.stat(`${root}/runs/adapt/detector/model.safetensors`)).isFile);
    await page.until(`document.querySelectorAll("#adapt-next button").length === 3`);
    await click(page, "adapt-use");
    await page.until(`document.querySelector("#adapt-problem").innerText.includes("adapted detector now")`);
    await page.key("Escape");
    await page.key("g");
    await page.until(`!document.querySelector("#do-undo").disabled`);
    assert.deepEqual(page.problems, []);
    await server.stop();

    // A server that is started later knows it.
    server = await start(root, dir);
    page = await visit();
    await page.until(`${STATUS}.includes("The detector is adapted")`);
    await server.stop();
  });
});

chromiumTest("correct: the dialog of a fit opens by its key at once, and has the keys while it is open", async () => {
  await inFolder(async (root) => {
    const dir = await facesIn(`${root}/faces`, 3);
    // A folder without models/faces: the state of a fit never comes, and all else works.
    const server = await Server.startIn(root, dir, "--no-detector");
    await using browser = await Browser.open();
    const page = await openPage(browser, server.url);
    const isOpen = () => page.evaluate<boolean>(`document.querySelector("#adapt").open`);
    const shown = () =>
      page.evaluate(`[location.hash, document.querySelector("#progress").textContent,
        document.querySelector("#modes [aria-checked=true]").id, document.querySelector("#point-name").textContent]`);
    await page.key("d");
    assert.ok(await isOpen());
    await page.until(`document.querySelector("#adapt-problem").innerText.includes('"models/faces"')`);
    assert.equal(await text(page, "adapt-status"), "");
    assert.equal(await text(page, "adapt-faces"), "0 faces are accepted or corrected.");
    await page.key("Escape");
    assert.ok(!await isOpen());

    await page.key("]");
    const before = await shown();
    await page.key("d");
    for (const key of ["a", "x", "n", "PageDown", "2", "]", "f", "ArrowRight", "d", "?"]) await page.key(key);
    await page.key("Escape");
    assert.ok(!await isOpen());
    assert.deepEqual(await shown(), before);
    assert.equal(await page.evaluate(`document.querySelector("#do-undo").disabled`), true);
    // Tab leads to the dialog's own button.
    await page.key("d");
    await page.key("Tab");
    assert.equal(await page.evaluate(`document.activeElement.textContent`), "Close");
    await page.key("Enter");
    assert.ok(!await isOpen());
    await page.key("a");
    await page.until(`${ACCEPTED} === 1 && ${SAVED}`);
    await ready(page, "1.png");
    assert.match(page.problems.splice(0).join(), /422/); // the browser notes an answer that is no success
    assert.deepEqual(page.problems, []);
    await server.stop();
  });
});
