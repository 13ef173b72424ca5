/**
 * The page of `deno task correct` in headless Chromium, with the pointer, fingers and keys of a person.
 *
 * @module
 */
import assert from "node:assert/strict";
import { CORRECTIONS, readCorrections } from "../../formats/corrections.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openFolder } from "../../faces/data/face_folder.ts";
import { drawLandmarks } from "../../faces/draw.ts";
import { refit } from "../../faces/refit.ts";
import { formatPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { readErrors } from "../../models/detectors/errors.ts";
import { Browser, chromiumTest } from "../report_chromium.ts";
import { inFolder } from "../stages/run_stages.ts";
import {
  dragBy,
  facesIn,
  near,
  openPage,
  pixelsPer,
  placeOf,
  ready,
  SAVED,
  Server,
  SIDE,
  stateAt,
  TRUTH,
  truthOf,
} from "./correct_page.ts";

chromiumTest("correct: ten faces by the pointer, a reload, a killed server, and all is there", async () => {
  await inFolder(async (root) => {
    const dir = await facesIn(`${root}/faces`, 10);
    let server = await Server.start(dir);
    await using browser = await Browser.open();
    let page = await openPage(browser, server.url);
    for (let k = 0; k < 5; k++) {
      await ready(page, `${k}.png`);
      await dragBy(page, 30, -3, 0);
      // The others followed the nose, as none of them was placed.
      const [x] = await stateAt(page, k, 29);
      assert.ok(x < truthOf(29)[0]! + 2.7, `the bridge of the nose stayed at ${x}`);
      await page.key("a");
    }
    await ready(page, "5.png");
    page = await openPage(browser, server.url + await page.evaluate("location.hash"));
    await ready(page, "5.png");
    await dragBy(page, 8, -3, 0);
    await page.key("2");
    await dragBy(page, 36, -3, 2);
    near(await stateAt(page, 5, 36), [truthOf(36)[0]!, truthOf(36)[1]! + 2], 0.6);
    await page.key("z");
    await page.until(SAVED);
    await server.stop("SIGKILL");
    await page.until(`document.querySelector("#status").textContent.includes("has stopped")`);
    assert.ok((await Deno.readTextFile(`${dir}/${CORRECTIONS}`)).split("\n").length > 13, "the journal is there");

    server = await Server.start(dir);
    page = await openPage(browser, `${server.url}#5`);
    near(await stateAt(page, 5, 8), truthOf(8), 0.6);
    await page.key("y");
    await page.until(`${SAVED} && document.querySelector("#do-redo").disabled`);
    near(await stateAt(page, 5, 36), [truthOf(36)[0]!, truthOf(36)[1]! + 2], 0.6);
    for (let k = 5; k < 9; k++) {
      await ready(page, `${k}.png`);
      if (k > 5) await dragBy(page, 33, -3, 0);
      await page.key("a");
    }
    await ready(page, "9.png");
    await page.key("x");
    await page.until(`document.querySelector("#progress").textContent.startsWith("10 of 10 decided")`);
    assert.deepEqual(page.problems, []);
    await server.stop();

    const states = [...readCorrections(dir).values()];
    assert.deepEqual(states.map(({ verdict }) => verdict), [...new Array(9).fill("accepted"), "rejected"]);
    const { records } = await openFolder(dir);
    assert.equal(records.length, 9);
    for (const [k, { landmarks }] of records.entries()) {
      const placed = k < 5 ? 30 : k === 5 ? 8 : 33;
      near([landmarks[2 * placed]!, landmarks[2 * placed + 1]!], truthOf(placed), 0.6);
    }
    const kept = await Deno.readTextFile(`${dir}/0.pts`);
    assert.equal(kept, formatPts(TRUTH.map((px, i) => i % 2 ? px : px + 3)), "originals stay");
  });
});

chromiumTest("correct: by the keyboard alone", async () => {
  await inFolder(async (root) => {
    const dir = await facesIn(`${root}/faces`, 3), server = await Server.start(dir);
    await using browser = await Browser.open();
    const page = await openPage(browser, server.url);
    await page.key("2");
    await page.key("]");
    assert.equal(await page.evaluate("document.activeElement.dataset.point"), "0");
    const [x, y] = await stateAt(page, 0, 0);
    await page.key("ArrowLeft");
    await page.key("ArrowDown", { shift: true });
    await page.key("ArrowRight", { alt: true });
    await page.until(SAVED);
    near(await stateAt(page, 0, 0), [x - 0.9, y + 10], 0.002);
    assert.match(
      await page.evaluate("document.activeElement.getAttribute('aria-label')"),
      /^0 jaw, x .* placed by hand/,
    );
    await page.key("z", { control: true });
    await page.until(SAVED);
    assert.deepEqual(await stateAt(page, 0, 0), [x, y], "moves that follow each other are one change");
    // The rest follows them as it does a drag.
    await page.key("1");
    for (let k = 0; k < 6; k++) await page.key("ArrowUp");
    await page.until(SAVED);
    const errors = await readErrors("models/faces", SCHEMAS.ibug68), before = TRUTH.map((px, i) => i % 2 ? px : px + 3);
    const dragged = refit(before, new Map([[0, [x, y - 6]]]), SCHEMAS.ibug68, errors);
    near(await stateAt(page, 0, 1), [dragged[2]!, dragged[3]!], 0.02);
    assert.ok(dragged[3]! < before[3]! - 2);
    await page.key("z");
    await page.until(SAVED);
    assert.deepEqual(await stateAt(page, 0, 0), [x, y]);
    await page.key("2");
    await page.key("f");
    await page.key("o");
    await page.until(SAVED);
    assert.deepEqual(await page.evaluate(occludedOf(0)), [17]);
    await page.key("h");
    assert.equal(await page.evaluate(`getComputedStyle(document.querySelector(".points")).display`), "none");
    await page.key("h");
    await page.key("Enter");
    await ready(page, "1.png");
    await page.key("Delete");
    await ready(page, "2.png");
    await page.key("PageUp");
    await ready(page, "1.png");
    await page.key("?");
    assert.ok(await page.evaluate(`document.querySelector("#help").open`));
    await page.key("Escape");
    await page.until(`!document.querySelector("#help").open`);
    // Every control is reached by Tab, and shows where the focus is.
    const reached = new Set<string>();
    for (let k = 0; k < 40; k++) {
      await page.key("Tab");
      reached.add(await page.evaluate(`document.activeElement.id || document.activeElement.getAttribute("class")`));
    }
    for (const id of ["order", "filter", "mode-point", "do-accept", "help-open", "show-before"]) {
      assert.ok(reached.has(id), `${id} is not reached: ${[...reached]}`);
    }
    assert.deepEqual(page.problems, []);
    await server.stop();
  });
});

const occludedOf = (face: number) => `fetch("face/${face}").then((r) => r.json()).then(({ state }) => state.occluded)`;

chromiumTest(
  "correct: a contour is snapped to an edge, a feature placed from the other side, a landmark of another one taken",
  async () => {
    await inFolder(async (root) => {
      const dir = await facesIn(`${root}/faces`, 1), server = await Server.start(dir);
      await using browser = await Browser.open();
      const page = await openPage(browser, server.url);
      // The jaw is drawn 3 pixels to the left of its landmarks, as a line with an edge on each side.
      await page.key("]");
      await page.key("s");
      await page.until(`!document.querySelector("#do-undo").disabled && ${SAVED}`);
      const [x] = await stateAt(page, 0, 2), [still] = await stateAt(page, 0, 30);
      assert.ok(Math.abs(x - truthOf(2)[0]!) < 2.2, `${x} is not at the line at ${truthOf(2)[0]}`);
      assert.equal(still.toFixed(2), (truthOf(30)[0]! + 3).toFixed(2), "only the contour moves");
      await page.key("4");
      await dragBy(page, 37, 0, -6);
      const [left, right] = [await stateAt(page, 0, 37), await stateAt(page, 0, 44)];
      assert.ok(right[1] - left[1] > 5);
      // The brow lies in the box around the eye now, and is another feature.
      await dragBy(page, 19, 0, -2);
      near(await stateAt(page, 0, 19), [truthOf(19)[0]! + 3, truthOf(19)[1]! - 2], 0.6);
      await dragBy(page, 40, 0, -1);
      await page.key("m");
      await page.until(SAVED);
      near(await stateAt(page, 0, 37), [left[0], right[1]], 2.5);
      assert.deepEqual(page.problems, []);
      await server.stop();
    });
  },
);

chromiumTest("correct: by fingers on 360 pixels, by the wheel on 4K, and in two windows", async () => {
  await inFolder(async (root) => {
    const dir = await facesIn(`${root}/faces`, 2), server = await Server.start(dir);
    await using browser = await Browser.open();
    const phone = await openPage(browser, server.url, { width: 360, height: 740, phone: true, dark: true });
    assert.deepEqual(await phone.evaluate("[document.documentElement.scrollWidth, innerWidth]"), [360, 360]);
    const before = await pixelsPer(phone);
    await phone.pinch([180, 250], 40, 80);
    assert.ok(await pixelsPer(phone) > 1.6 * before, "two fingers zoom");
    await phone.point("#do-fit", "tap");
    await dragBy(phone, 30, -3, 0, "touch");
    near(await stateAt(phone, 0, 30), truthOf(30), 0.8);
    const small = await phone.evaluate<string[]>(
      `[...document.querySelectorAll("#tools button")].filter((b) => b.getBoundingClientRect().height < 40).map((b) => b.id)`,
    );
    assert.deepEqual(small, []);

    const wide = await openPage(browser, server.url, { width: 3840, height: 2160 });
    near(await stateAt(wide, 0, 30), truthOf(30), 0.8);
    assert.ok(await wide.evaluate(`parseFloat(getComputedStyle(document.body).fontSize) >= 20`));
    const zoomed = await pixelsPer(wide), nose = await placeOf(wide, 30);
    await wide.hover(nose, -240);
    await wide.until(
      `document.querySelector("#stage").getBoundingClientRect().width / document.querySelector("#stage").viewBox.baseVal.width > ${
        1.2 * zoomed
      }`,
    );
    near(await placeOf(wide, 30), nose, 2);
    assert.match(await wide.evaluate(`document.querySelector("#point-name").textContent`), /^30 nose tip$/);
    await wide.key("4");
    await dragBy(wide, 38, 0, 4);
    // The other window shows it.
    const [x, y] = await stateAt(wide, 0, 38);
    await phone.until(
      `document.querySelector('.point[data-point="38"]').getAttribute("aria-label").includes("x ${x.toFixed(1)} y ${
        y.toFixed(1)
      }")`,
    );
    await phone.until(`document.querySelector("#message").textContent === "Changed in another window."`);
    assert.deepEqual([...phone.problems, ...wide.problems], []);
    await server.stop();
  });
});

chromiumTest("correct: what a review found is drawn beside a pair's landmarks, and can be hidden", async () => {
  await inFolder(async (root) => {
    const dir = `${root}/pairs`, writer = await DatasetWriter.create(dir, SCHEMAS.ibug68);
    const image = drawLandmarks(TRUTH, SCHEMAS.ibug68, SIDE);
    for (const group of ["a", "b"]) await writer.add(image, { style: "ink", group, landmarks: TRUTH });
    await writer.close();
    const pairs = [0, 1].map((k) => ({
      file_name: `images/00000${k}.png`,
      style: "ink",
      alignment_nme: 4 + k,
      doubt: k,
      verdict: "kept",
      found: Array.from(TRUTH, (px, i) => i % 2 ? px : px + 2 + k),
    }));
    await Deno.writeTextFile(`${dir}/review.json`, JSON.stringify({ pairs }));
    const server = await Server.start(dir);
    await using browser = await Browser.open();
    const page = await openPage(browser, server.url);
    await ready(page, "images/000001.png"); // the one that is farther off comes first
    const line = () => page.evaluate<string>(`document.querySelector(".found").getAttribute("d")`);
    const [x, y] = /^M(\S+) (\S+)L/.exec(await line())!.slice(1).map(Number);
    near([x!, y!], [truthOf(0)[0]! + 3, truthOf(0)[1]!], 0.01);
    assert.match(
      await page.evaluate(`document.querySelector("#facts").innerText`),
      /kept, z-score 1\.0\s+alignment\s+5\.0 %/,
    );
    await page.evaluate(`document.querySelector("#show-found").click()`);
    assert.equal(await line(), "");
    assert.deepEqual(page.problems, []);
    await server.stop();
  });
});
