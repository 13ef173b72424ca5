/**
 * Whole pictures on the page of `deno task correct` in headless Chromium: boxes of all their faces.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readCorrections } from "../../formats/corrections.ts";
import { pointsOf } from "../../faces/data/corrections.ts";
import { createImage } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { drawLandmarks } from "../../faces/draw.ts";
import { boundingBox } from "../../faces/landmarks.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { runCommand } from "../cli/run_command.ts";
import { Browser, chromiumTest, type Page } from "../report_chromium.ts";
import { inFolder } from "../stages/run_stages.ts";
import { near, openPage, ready, SAVED, Server, SIDE, stateAt, TRUTH } from "./correct_page.ts";

const WIDTH = 480, HEIGHT = 240;
/** Places of the two drawn faces; `detect` found the first one. */
const FIRST = [20, 40], SECOND = [270, 50];
const faceAt = ([x, y]: readonly number[]) => TRUTH.map((px, i) => px + (i % 2 ? y! : x!));
const { x: LEFT, y: TOP, width: WIDE, height: HIGH } = boundingBox(TRUTH);

/** A folder of results of `detect`: a picture with two faces of which one was found, and one without. */
async function resultsIn(root: string): Promise<string> {
  const page = createImage(WIDTH, HEIGHT, [30, 60, 90]), drawn = drawLandmarks(TRUTH, SCHEMAS.ibug68, SIDE);
  for (const [left, top] of [FIRST, SECOND]) {
    for (let y = 0; y < SIDE; y++) {
      page.data.set(drawn.data.subarray(3 * SIDE * y, 3 * SIDE * (y + 1)), 3 * ((y + top!) * WIDTH + left!));
    }
  }
  const dir = `${root}/found`, rows = [];
  await Deno.mkdir(dir);
  await writePng(`${root}/page.png`, page);
  await writePng(`${root}/bare.png`, createImage(200, 300, [90, 60, 30]));
  const face = { score: 0.9, landmarks: pointsOf(faceAt(FIRST)), uncertainty_px: new Array(68).fill(1) };
  for (const [file, faces] of [["page.png", [face]], ["bare.png", []]] as const) {
    rows.push(JSON.stringify({ file: `${root}/${file}`, faces }));
  }
  await Deno.writeTextFile(`${dir}/faces.jsonl`, `${rows.join("\n")}\n`);
  return dir;
}

/** Place of a point of the picture on the page. */
const screenOf = (page: Page, [px, py]: readonly number[]) =>
  page.evaluate<[number, number]>(`(() => {
    const stage = document.querySelector("#stage"), { left, top, width } = stage.getBoundingClientRect();
    const { x, y, width: wide } = stage.viewBox.baseVal, scale = width / wide;
    return [left + (${px} - x) * scale, top + (${py} - y) * scale];
  })()`);

async function drag(page: Page, from: readonly number[], to: readonly number[], how: "mouse" | "touch" = "mouse") {
  await page.drag(await screenOf(page, from), await screenOf(page, to), { how });
}

/** Box of a face as the server has it. */
const boxOf = (page: Page, k: number) =>
  page.evaluate<number[]>(`fetch("face/${k}").then((r) => r.json()).then(({ summary }) => summary.box)`);
const count = (page: Page, selector: string) =>
  page.evaluate<number>(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
const close = (a: readonly number[], b: readonly number[], within: number) =>
  assert.ok(a.every((px, k) => Math.abs(px - b[k]!) <= within), `${a} is not within ${within} of ${b}`);

chromiumTest("correct: boxes on whole pictures are moved, resized, taken away and added, and all is kept", async () => {
  await inFolder(async (root) => {
    const dir = await resultsIn(root);
    let server = await Server.start(dir);
    await using browser = await Browser.open();
    let page = await openPage(browser, server.url);
    assert.match(await page.evaluate(`document.querySelector("#title").textContent`), /\/page\.png$/);
    assert.match(await page.evaluate(`document.querySelector("#faces").innerText`), /page\.png[^]*bare\.png\s+no face/);
    await page.key("6");
    const [x, y] = [FIRST[0]! + LEFT, FIRST[1]! + TOP];
    close(await boxOf(page, 0), [x, y, WIDE, HIGH], 0.01);
    // The corner at the right bottom takes the landmarks along; the left top stays.
    await drag(page, [x + WIDE, y + HIGH], [x + WIDE + 20, y + HIGH - 10]);
    await page.until(SAVED);
    close(await boxOf(page, 0), [x, y, WIDE + 20, HIGH - 10], 1);
    await drag(page, [x, y], [x - 6, y - 4]);
    await page.until(SAVED);
    close(await boxOf(page, 0), [x - 6, y - 4, WIDE + 26, HIGH - 6], 1.5);
    await drag(page, [x + 40, y + 40], [x + 43, y + 50]);
    await page.until(SAVED);
    close(await boxOf(page, 0), [x - 3, y + 6, WIDE + 26, HIGH - 6], 2);
    await page.key("z");
    await page.key("z");
    await page.key("z");
    await page.until(`document.querySelector("#do-undo").disabled && ${SAVED}`);
    close(await boxOf(page, 0), [x, y, WIDE, HIGH], 0.01);

    // A drag where no box is adds a face; without a detector it has the usual shape.
    const [x2, y2] = [SECOND[0]! + LEFT, SECOND[1]! + TOP];
    await drag(page, [x2, y2], [x2 + WIDE, y2 + HIGH]);
    await ready(page, root.replace(/^.*\//, "") + "/page.png, face 2");
    close(await boxOf(page, 2), [x2, y2, WIDE, HIGH], 1.5);
    near(await stateAt(page, 2, 30), [TRUTH[60]! + SECOND[0]!, TRUTH[61]! + SECOND[1]!], 8);
    assert.equal(await count(page, "#stage .box"), 2);
    assert.match(await page.evaluate(`document.querySelector("#progress").textContent`), /of 2 decided, 0 corrected/);
    assert.match(await page.evaluate(`document.querySelector("#faces [aria-current=true]").innerText`), /added$/);
    // Its landmarks are corrected as those of any other.
    await page.key("2");
    await page.evaluate(`document.querySelector('.point[data-point="30"]').focus()`);
    await page.key("ArrowRight", { shift: true });
    await page.until(SAVED);
    await page.until(`document.querySelector("#progress").textContent.endsWith(", 1 corrected")`);
    const nose = await stateAt(page, 2, 30);
    // A press on the other box opens its face.
    await page.key("6");
    await page.drag(await screenOf(page, [x + 30, y + 30]), await screenOf(page, [x + 30, y + 30]), { steps: 1 });
    await page.until(`!document.querySelector("#title").textContent.includes("face 2") && ${SAVED}`);
    await page.key("x");
    await page.until(`document.querySelector("#stage .box.rejected.open") && ${SAVED}`);
    // A drag over the box that was taken away draws another one; a press on it alone would open it.
    const was = await count(page, "#stage .box");
    await drag(page, [x + 20, y + 20], [x + 70, y + 80]);
    await page.until(`document.querySelectorAll("#stage .box").length === ${was + 1} && ${SAVED}`);
    await page.until(`document.querySelector("#faces li:last-child [aria-current=true]")`);
    await page.key("x");
    await page.until(`document.querySelectorAll("#stage .box").length === ${was} && ${SAVED}`);
    // Two that are drawn one at once after the other: the second one takes the place that is free, and none is lost.
    await drag(page, [x + 20, y + 20], [x + 70, y + 80]);
    await drag(page, [5, 5], [20, 30]);
    await page.until(`document.querySelectorAll("#stage .box").length === ${was + 2} && ${SAVED}`);
    for (let k = 0; k < 2; k++) {
      await page.evaluate(`document.querySelector("#faces li:last-child [aria-current=false]")?.click()`);
      await page.until(`document.querySelector("#faces li:last-child [aria-current=true]")`);
      await page.key("x");
      await page.until(`document.querySelectorAll("#stage .box").length === ${was + 1 - k} && ${SAVED}`);
    }
    assert.deepEqual(page.problems, []);

    await server.stop("SIGKILL");
    server = await Server.start(dir);
    page = await openPage(browser, `${server.url}#2`);
    close(await boxOf(page, 2), [x2, y2, WIDE, HIGH], 12);
    assert.deepEqual(await stateAt(page, 2, 30), nose);
    // An addition is undone, and another one takes its place.
    for (let k = 0; k < 2; k++) await page.key("z");
    await page.until(
      `document.querySelector("#title").textContent.includes("page.png") && document.querySelector("#do-undo").disabled && ${SAVED}`,
    );
    assert.equal(await page.evaluate(`getComputedStyle(document.querySelector(".points")).display`), "none");
    await page.key("6");
    await drag(page, [x2 + 2, y2], [x2 + WIDE + 2, y2 + HIGH]);
    await page.until(`document.querySelector("#stage .box.open") && ${SAVED}`);
    close(await boxOf(page, 2), [x2 + 2, y2, WIDE, HIGH], 1.5);
    // A picture in which nothing was found.
    await page.evaluate(`document.querySelector('[data-face="1"]').click()`);
    await page.until(`/bare\\.png, no face$/.test(document.querySelector("#title").textContent)`);
    await page.key("a");
    assert.match(
      await page.evaluate(`document.querySelector("#message").textContent`),
      /^There is no face here: draw a box/,
    );
    const pressed = `document.querySelector("#do-reject").getAttribute("aria-pressed")`;
    assert.equal(await page.evaluate(pressed), "false", "nobody rejected it");
    assert.doesNotMatch(await page.evaluate(`document.querySelector("#facts").textContent`), /verdict|by hand/);
    await page.key("p");
    await page.until(`/page\\.png/.test(document.querySelector("#title").textContent)`);
    assert.ok(await page.evaluate(`document.querySelector("#message").hidden`), "a message is about its face");
    await page.evaluate(`document.querySelector('[data-face="1"]').click()`);
    await page.until(`/bare\\.png, no face$/.test(document.querySelector("#title").textContent)`);
    await page.key("i");
    await page.until(`document.querySelector("#stage .box.open") && ${SAVED}`);
    close(await boxOf(page, 1), [55, 105, 90, 90], 0.1);
    await page.key("ArrowLeft", { shift: true });
    await page.key("ArrowDown", { control: true });
    await page.until(SAVED);
    close(await boxOf(page, 1), [45, 105, 90, 91], 0.1);
    assert.deepEqual(page.problems, []);
    await server.stop();

    const corrections = readCorrections(dir);
    const key = (name: string, face: number) => `${root}/${name}#${face}`;
    assert.deepEqual(
      [...corrections.keys()].sort(),
      [key("bare.png", 1), key("page.png", 1), key("page.png", 2)].sort(),
    );
    assert.equal(corrections.get(key("page.png", 1))!.verdict, "rejected");
    assert.deepEqual(corrections.get(key("page.png", 2))!.was, []);
    const out = `${root}/coco`;
    const { code, lines } = await runCommand(["correct", dir, "--save", out, "--as", "coco"]);
    assert.deepEqual([code, lines], [0, [`2 pictures with 2 faces as coco: ${out}`]]);
    const { images, annotations } = JSON.parse(await Deno.readTextFile(`${out}/annotations.json`));
    assert.deepEqual(images.map(({ width, height }: { width: number; height: number }) => [width, height]), [
      [200, 300],
      [
        WIDTH,
        HEIGHT,
      ],
    ]);
    close(annotations.find(({ image_id }: { image_id: number }) => image_id === 1).bbox, [x2 + 2, y2, WIDE, HIGH], 1.5);
  });
});

chromiumTest("correct: boxes by fingers on 360 pixels, and faces of a picture by the keyboard alone", async () => {
  await inFolder(async (root) => {
    const dir = await resultsIn(root), server = await Server.start(dir);
    await using browser = await Browser.open();
    const phone = await openPage(browser, server.url, { width: 360, height: 740, phone: true, dark: true });
    await phone.point("#mode-boxes", "tap");
    const [x2, y2] = [SECOND[0]! + LEFT, SECOND[1]! + TOP];
    await drag(phone, [x2, y2], [x2 + WIDE, y2 + HIGH], "touch");
    await phone.until(`document.querySelectorAll("#stage .box").length === 2 && ${SAVED}`);
    close(await boxOf(phone, 2), [x2, y2, WIDE, HIGH], 3);
    await drag(phone, [x2 + WIDE, y2], [x2 + WIDE + 15, y2 - 12], "touch");
    await phone.until(SAVED);
    close(await boxOf(phone, 2), [x2, y2 - 12, WIDE + 15, HIGH + 12], 4);
    assert.deepEqual(await phone.evaluate("[document.documentElement.scrollWidth, innerWidth]"), [360, 360]);

    const page = await openPage(browser, server.url);
    await page.key("6");
    await page.until(`document.querySelectorAll("#stage .box").length === 2`);
    // Tab leads from box to box, Enter opens.
    for (let k = 0; k < 60; k++) {
      await page.key("Tab");
      if (await page.evaluate(`document.activeElement.matches(".box:not(.open)")`)) break;
    }
    assert.match(await page.evaluate(`document.activeElement.getAttribute("aria-label")`), /^face [12]/);
    const before = await page.evaluate(`document.querySelector("#title").textContent`);
    await page.key("Enter");
    await page.until(`document.querySelector("#title").textContent !== ${JSON.stringify(before)}`);
    assert.deepEqual([...phone.problems, ...page.problems], []);
    await server.stop();
  });
});
