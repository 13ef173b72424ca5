/**
 * The page of `deno task correct --compare` in headless Chromium.
 *
 * @module
 */
import assert from "node:assert/strict";
import { formatPts } from "../../faces/pts.ts";
import { interocular } from "../../faces/landmarks.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { Browser, chromiumTest, type Page } from "../report_chromium.ts";
import { inFolder } from "../stages/run_stages.ts";
import { dragBy, facesIn, near, openPage, ready, SAVED, Server, stateAt, TRUTH, truthOf } from "./correct_page.ts";

/** Moves the landmarks of a folder's faces from their true places, pixels to the right and down. */
async function place(dir: string, by: readonly (readonly [number, number])[]): Promise<string> {
  for (const [k, [dx, dy]] of by.entries()) {
    await Deno.writeTextFile(`${dir}/${k}.pts`, formatPts(TRUTH.map((px, i) => px + (i % 2 ? dy : dx))));
  }
  return dir;
}

/** Percent of the distance between the outer eye corners. */
const percent = (px: number) => `${(100 * px / interocular(TRUTH, SCHEMAS.ibug68)).toFixed(1)} %`;
const text = (page: Page, selector: string) => page.evaluate<string>(`document.querySelector("${selector}").innerText`);
/** Place of the first landmark of a side's line. */
const firstOf = async (page: Page, side: string) => {
  const line = await page.evaluate<string>(`document.querySelector("#stage .${side}").getAttribute("d")`);
  return line && /^M(\S+) (\S+?)L/.exec(line)!.slice(1).map(Number);
};

chromiumTest("correct: two detectors beside the landmarks: their errors, and their landmarks by a key", async () => {
  await inFolder(async (root) => {
    const dir = await facesIn(`${root}/faces`, 3);
    const a = await place(await facesIn(`${root}/a`, 3), [[0, 0], [3, 4], [0, 0]]);
    const b = await place(await facesIn(`${root}/b`, 3), [[0, 2], [3, 0], [8, 0]]);
    const server = await Server.start(dir, "--compare", `${a},${b}`);
    await using browser = await Browser.open();
    const page = await openPage(browser, server.url);
    // The landmarks themselves are 3 pixels to the right of their true places.
    await ready(page, "2.png");
    await page.until(`document.querySelector("#stage .a").getAttribute("d")`);
    assert.match(await text(page, "#show-a"), /^A \S+\/a \d/);
    assert.equal(await text(page, "#show-a output"), percent(3));
    assert.equal(await text(page, "#show-b output"), percent(5));
    assert.equal(await text(page, "#difference"), `apart ${percent(8)}`);
    near(await firstOf(page, "a") as number[], truthOf(0), 0.01);
    near(await firstOf(page, "b") as number[], [truthOf(0)[0]! + 8, truthOf(0)[1]!], 0.01);
    const list = () =>
      page.evaluate<string[]>(`[...document.querySelectorAll("#faces small")].map((s) => s.textContent)`);
    await page.until(`[...document.querySelectorAll("#faces small")].every((small) => small.textContent)`);
    const line = (one: number, other: number) => `A ${percent(one)}, B ${percent(other)}`;
    assert.deepEqual(await list(), [line(3, 5), line(4, 0), line(3, Math.hypot(3, 2))]);
    const orderBy = (value: string) =>
      page.evaluate(`(() => {
        const order = document.querySelector("#order");
        order.value = "${value}";
        order.dispatchEvent(new Event("change"));
      })()`);
    await orderBy("better-b");
    assert.deepEqual((await list())[0], line(4, 0));
    await orderBy("difference");

    await page.key("q");
    await page.until(SAVED);
    near(await stateAt(page, 2, 30), truthOf(30), 0.01);
    await page.until(`document.querySelector("#show-a output").textContent === "0.0 %"`);
    assert.equal(await text(page, "#show-b output"), percent(8));
    // A landmark that was placed by hand stays, and those beside it follow.
    await page.key("2");
    await dragBy(page, 30, -4, 0);
    await page.key("w");
    await page.until(SAVED);
    near(await stateAt(page, 2, 30), [truthOf(30)[0]! - 4, truthOf(30)[1]!], 0.8);
    const [x] = await stateAt(page, 2, 8);
    assert.ok(x > truthOf(8)[0]! + 2, "the chin is B's");
    // In the mode of features those of one.
    await page.key("n");
    await ready(page, "1.png");
    await page.until(`document.querySelector("#show-a output").textContent === ${JSON.stringify(percent(4))}`);
    await page.until(`document.querySelector("#stage .a").getAttribute("d")`);
    await page.key("4");
    await page.evaluate(`document.querySelector('.point[data-point="37"]').focus()`);
    await page.key("q");
    await page.until(SAVED);
    near(await stateAt(page, 1, 37), [truthOf(37)[0]! + 3, truthOf(37)[1]! + 4], 0.01);
    near(await stateAt(page, 1, 44), [truthOf(44)[0]! + 3, truthOf(44)[1]!], 0.01);
    await page.evaluate(`document.querySelector("#show-a").click()`);
    assert.equal(await firstOf(page, "a"), "");
    assert.deepEqual(page.problems, []);

    const phone = await openPage(browser, server.url, { width: 360, height: 740, phone: true, dark: true });
    await ready(phone, "2.png");
    assert.deepEqual(await phone.evaluate("[document.documentElement.scrollWidth, innerWidth]"), [360, 360]);
    await phone.until(`document.querySelector("#stage .a").getAttribute("d")`);
    await phone.point("#do-take-a", "tap");
    await phone.until(
      `document.querySelector("#show-b output").textContent !== ${JSON.stringify(percent(5))} && ${SAVED}`,
    );
    near(await stateAt(phone, 2, 8), truthOf(8), 1.5);
    assert.deepEqual(phone.problems, []);
    await server.stop();
  });
});
