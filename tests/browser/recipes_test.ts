/**
 * The page of `deno task correct` on styles and edits in headless Chromium, with the pointer, fingers and keys of a person.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Browser, chromiumTest, type Page, type View } from "../report_chromium.ts";
import { inFolder } from "../stages/run_stages.ts";
import { near, Server } from "./correct_page.ts";

const INK = `# Our ink
style: ink
doc: Brush and ink.
render:
  shape: { eye_scale: 1.2 }
  line: { outline: 0.014, wobble: 0.008 } # it swells
  colours: { hair: ["#202020"] }
`;
const SMILE = `edit: smile
schema: ibug68
doc: Raises the corners of the mouth.
amount: { min: 0, max: 1 }
moves:
  # both corners
  - { points: [48], offset_iod: [-0.1, -0.1] }
`;
const DESKTOP: View = { width: 1280, height: 800 };

async function recipesIn(root: string): Promise<string> {
  const dir = `${root}/recipes`;
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/ink.yaml`, INK);
  await Deno.writeTextFile(`${dir}/smile.yaml`, SMILE);
  return dir;
}

const DRAWN = `document.querySelector("#pictures").ariaBusy === "false" && document.querySelector("#picture").src`;

async function openPage(browser: Browser, url: string, view: View = DESKTOP): Promise<Page> {
  const page = await browser.visit(url, view);
  await page.until(DRAWN);
  return page;
}

const textOf = (page: Page) => page.evaluate<string>(`document.querySelector("#text").value`);
const statusOf = (page: Page) => page.evaluate<string>(`document.querySelector("#status").textContent`);
const pictureOf = (page: Page) => page.evaluate<string>(`document.querySelector("#picture").src`);

/** Opens the section of a control. */
const unfold = (page: Page, id: string) =>
  page.evaluate(`document.getElementById(${JSON.stringify(id)}).closest("details").open = true`);

/** Clicks an element. */
async function click(page: Page, selector: string): Promise<void> {
  await page.point(selector);
  const [x, y] = await page.evaluate<[number, number]>(`(() => {
    const { left, top, width, height } = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  })()`);
  await page.drag([x, y], [x, y], { steps: 1 });
}

/** Drags the thumb of a slider to a share of its length. */
async function slide(page: Page, selector: string, share: number, how: "mouse" | "touch" = "mouse"): Promise<void> {
  await page.point(selector);
  const [from, to, y] = await page.evaluate<[number, number, number]>(`(() => {
    const bar = document.querySelector(${JSON.stringify(selector)});
    const { left, top, width, height } = bar.getBoundingClientRect(), thumb = height;
    const at = (share) => left + thumb / 2 + share * (width - thumb);
    return [at((bar.value - bar.min) / (bar.max - bar.min)), at(${share}), top + height / 2];
  })()`);
  await page.drag([from, y], [to, y], { how, steps: 6 });
  await page.until(DRAWN);
}

chromiumTest(
  "recipes: a style by sliders, colours and its text; saved with its comments, and the old one kept",
  async () => {
    await inFolder(async (root) => {
      const dir = await recipesIn(root), server = await Server.start(`${dir}/ink.yaml`);
      await using browser = await Browser.open();
      const page = await openPage(browser, server.url);
      assert.deepEqual([await textOf(page), await statusOf(page)], [INK, "Saved"]);
      const before = await pictureOf(page);

      await unfold(page, "control-render-line-outline");
      await slide(page, "#control-render-line-outline", 0.8);
      const text = await textOf(page), [, outline] = /outline: ([\d.]+)/.exec(text)!;
      assert.ok(Math.abs(Number(outline) - 0.04) < 0.002, outline);
      assert.equal(text, INK.replace("0.014", outline!), "nothing else is changed");
      assert.notEqual(await pictureOf(page), before);
      assert.equal(await statusOf(page), "Not saved");
      await page.key("z", { control: true });
      await page.until(`document.querySelector("#status").textContent === "Saved"`);
      assert.equal(await textOf(page), INK, "a drag is one change");
      await page.key("y", { control: true });
      await page.until(`document.querySelector("#status").textContent === "Not saved"`);
      await page.key("s", { control: true });
      await page.until(`document.querySelector("#versions").options.length === 2`);
      assert.equal(await Deno.readTextFile(`${dir}/ink.yaml`), text);
      assert.equal(await Deno.readTextFile(`${dir}/ink.yaml.old1`), INK);

      // A colour, a choice, and a value that the file did not have.
      const set = (id: string, value: string, event: string) =>
        page.evaluate(`(() => {
        const field = document.getElementById(${JSON.stringify(id)});
        field.value = ${JSON.stringify(value)};
        field.dispatchEvent(new Event(${JSON.stringify(event)}));
      })()`);
      await set("control-render-colours-hair", "#aa3300", "input");
      await page.until(`document.querySelector("#text").value.includes('hair: ["#aa3300"]')`);
      await set("control-render-shade-kind", "cel", "change");
      await page.until(`document.querySelector("#text").value.includes("  shade: { kind: cel }")`);
      await unfold(page, "control-render-shade-kind");
      await click(page, "#section-render-shade .reset:not([hidden])");
      await page.until(`!document.querySelector("#text").value.includes("shade")`);

      // The text: a mistake at its line, and the way back.
      await click(page, "#tab-text");
      await page.evaluate(`document.querySelector("#text").focus()`);
      await page.evaluate(`document.querySelector("#text").setSelectionRange(0, 0)`);
      for (const letter of "oops: 1") await page.key(letter);
      await page.key("Enter");
      await page.until(`document.querySelector("#problems").childElementCount === 1 && ${DRAWN}`);
      assert.match(
        await page.evaluate(`document.querySelector("#problems").innerText`),
        /^Line 1 Cannot use key "oops" in the style: a style has no such key/,
      );
      assert.equal(await page.evaluate(`document.querySelector("#gutter .wrong").textContent`), "1");
      assert.equal(await page.evaluate(`document.querySelector("#save").disabled`), true);
      assert.equal(await statusOf(page), "1 mistake");
      await page.key("z", { control: true });
      await page.until(`document.querySelector("#problems").childElementCount === 0`);

      // What was saved first comes back.
      await set("versions", "1", "change");
      await page.until(`document.querySelector("#text").value === ${JSON.stringify(INK)} && ${DRAWN}`);
      await click(page, "#save");
      await page.until(`document.querySelector("#status").textContent === "Saved"`);
      assert.equal(await Deno.readTextFile(`${dir}/ink.yaml`), INK);
      assert.equal(await Deno.readTextFile(`${dir}/ink.yaml.old2`), text);
      assert.deepEqual(page.problems, []);
      await server.stop();
    });
  },
);

chromiumTest("recipes: any text that is typed is taken, with its mistakes", async () => {
  await inFolder(async (root) => {
    const dir = await recipesIn(root), server = await Server.start(dir);
    await using browser = await Browser.open();
    const page = await openPage(browser, server.url);
    const wrong: Readonly<Record<string, readonly string[]>> = {
      "ink.yaml": [
        "",
        "style: ink",
        "render: 3",
        "render: { shape: [1], colours: { hair: 1 }, background: { colours: [] } }",
      ]
        .concat([
          "render: { palette: { kind: nearest, colours: [x, null] }, line: { outline: thick } }",
          "[",
          "- 1",
          "null",
        ]),
      "smile.yaml": [
        "edit: smile",
        "amount: 1",
        "amount: { min: -9, max: 9 }",
        "random: { a: , b: 1 }",
        "moves: [1, , { points: 1 }]",
      ]
        .concat(["moves: { a: 1 }", "transforms: [{ rotate_deg: x }]", "random: []"]),
    };
    for (const [file, texts] of Object.entries(wrong)) {
      await click(page, `.file[data-file="${file}"]`);
      await page.until(`document.querySelector("#title").textContent === "${file.slice(0, -5)}" && ${DRAWN}`);
      const whole = await textOf(page), picture = await pictureOf(page);
      for (const text of texts) {
        await page.evaluate(`(() => {
          const field = document.querySelector("#text");
          field.value = ${JSON.stringify(text)};
          field.dispatchEvent(new Event("input"));
        })()`);
        await page.until(`document.querySelector("#problems").childElementCount > 0 && ${DRAWN}`);
        assert.equal(await pictureOf(page), picture, "the picture before stays");
      }
      await page.evaluate(`(() => {
        const field = document.querySelector("#text");
        field.value = ${JSON.stringify(whole)};
        field.dispatchEvent(new Event("input"));
      })()`);
      await page.until(`document.querySelector("#status").textContent === "Saved" && ${DRAWN}`);
      assert.equal(await page.evaluate(`document.querySelector("#problems").childElementCount`), 0);
    }
    assert.deepEqual(page.problems, []);
    await server.stop();
  });
});

/** A landmark of the open edit on the page, and as the server draws it. */
const placeOf = (page: Page, p: number) =>
  page.evaluate<[number, number]>(`(() => {
    const { left, top, width, height } = document.querySelector('circle[data-point="${p}"]').getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  })()`);

chromiumTest("recipes: an edit by its sliders and its landmarks, and saved under another name", async () => {
  await inFolder(async (root) => {
    const dir = await recipesIn(root), server = await Server.start(dir);
    await using browser = await Browser.open();
    const page = await openPage(browser, server.url);
    await click(page, `.file[data-file="smile.yaml"]`);
    await page.until(`document.querySelector("#title").textContent === "smile" && ${DRAWN}`);
    const raised = await placeOf(page, 48), nose = await placeOf(page, 30);
    const condition = await page.evaluate(`document.querySelector("#condition").src`);
    await slide(page, "#try-amount", 0);
    const still = await placeOf(page, 48);
    assert.ok(still[1] > raised[1] + 5, "the slider lowers the corners");
    assert.notEqual(await page.evaluate(`document.querySelector("#condition").src`), condition);
    assert.equal(await textOf(page), SMILE, "the strength here is not in the file");
    await slide(page, "#try-amount", 1);
    near(await placeOf(page, 48), raised, 1);

    await page.drag([raised[0] + 1, raised[1]], [raised[0] - 11, raised[1] - 16], { steps: 6 });
    await page.until(DRAWN);
    near(await placeOf(page, 48), [raised[0] - 12, raised[1] - 16], 2);
    assert.deepEqual(await placeOf(page, 30), nose);
    const text = await textOf(page);
    assert.match(text.slice(SMILE.indexOf("  - {")), /^ {2}- { points: \[48\], offset_iod: \[-0\.\d+, -0\.\d+\] }\n$/);
    assert.ok(text.startsWith(SMILE.slice(0, SMILE.indexOf("  - {"))), "comments stay");

    await click(page, "#save-as");
    await page.evaluate(`document.querySelector("#name").value = ""`);
    for (const letter of "ink") await page.key(letter);
    await page.key("Enter");
    await page.until(`document.querySelector("#name-error").textContent.startsWith("there is a ink already")`);
    for (const letter of "_grin") await page.key(letter);
    await page.key("Enter");
    await page.until(`document.querySelector("#title").textContent === "ink grin" && ${DRAWN}`);
    assert.equal(await Deno.readTextFile(`${dir}/ink_grin.yaml`), text.replace("edit: smile", "edit: ink_grin"));
    assert.equal(await Deno.readTextFile(`${dir}/smile.yaml`), SMILE);

    // Another program writes the file that is open.
    await Deno.writeTextFile(`${dir}/ink_grin.yaml`, SMILE.replace("edit: smile", "edit: ink_grin"));
    await page.evaluate(`dispatchEvent(new Event("focus"))`);
    await page.until(`document.querySelector("#text").value.includes("[-0.1, -0.1]")`);
    // The server refuses 422 for the name that was taken, which the browser notes.
    assert.deepEqual(page.problems.filter((problem) => !problem.includes("422")), []);
    await server.stop();
  });
});

chromiumTest("recipes: by the keyboard alone, by a finger on 360 pixels, and on 4K", async () => {
  await inFolder(async (root) => {
    const dir = await recipesIn(root), server = await Server.start(dir);
    await using browser = await Browser.open();
    const page = await openPage(browser, server.url);
    const reached = new Set<string>();
    for (let k = 0; k < 60 && !reached.has("control-render-shape-exaggerate"); k++) {
      await page.key("Tab");
      reached.add(await page.evaluate(`document.activeElement.id || document.activeElement.className`));
    }
    for (const id of ["save-as", "file", "person", "show-was", "tab-text", "find", "control-render-shape-exaggerate"]) {
      assert.ok(reached.has(id), `${id} is not reached: ${[...reached]}`);
    }
    for (let k = 0; k < 5; k++) await page.key("ArrowRight");
    await page.until(`document.querySelector("#text").value.includes("exaggerate: 1.05") && ${DRAWN}`);
    assert.ok((await textOf(page)).includes("shape: { eye_scale: 1.2, exaggerate: 1.05 }"));
    const person = await pictureOf(page);
    await page.key(".");
    await page.until(`document.querySelector("#person").value === "20" && ${DRAWN}`);
    assert.notEqual(await pictureOf(page), person);
    await page.key("s", { control: true });
    await page.until(`document.querySelector("#status").textContent === "Saved"`);
    assert.match(await Deno.readTextFile(`${dir}/ink.yaml`), /exaggerate: 1\.05/);

    // What is not saved is there again in a page that is opened anew.
    await click(page, "#tab-text");
    await page.evaluate(`document.querySelector("#text").focus()`);
    await page.evaluate(`document.querySelector("#text").setSelectionRange(2, 2)`);
    for (const letter of "not ") await page.key(letter);
    await page.until(`document.querySelector("#status").textContent === "Not saved" && ${DRAWN}`);
    const again = await openPage(browser, server.url);
    await again.until(`document.querySelector("#text").value.startsWith("# not Our ink") && ${DRAWN}`);
    await Deno.writeTextFile(`${dir}/ink.yaml`, INK);
    const later = await openPage(browser, server.url);
    await later.until(`document.querySelector("#message").textContent.includes("was changed since") && ${DRAWN}`);
    await later.key("s", { control: true });
    await later.until(`document.querySelector("#message").textContent.includes("was changed by another program")`);
    assert.equal(await Deno.readTextFile(`${dir}/ink.yaml`), INK);
    await again.key("z", { control: true });
    await again.until(`document.querySelector("#status").textContent === "Saved" && ${DRAWN}`);
    assert.deepEqual(again.problems, []);

    const phone = await openPage(browser, server.url, { width: 360, height: 740, phone: true, dark: true });
    assert.deepEqual(await phone.evaluate("[document.documentElement.scrollWidth, innerWidth]"), [360, 360]);
    await slide(phone, "#control-render-shape-eye_scale", 0.9, "touch");
    assert.match(await textOf(phone), /eye_scale: 2\.[67]/);
    await phone.point("#tab-text", "tap");
    await phone.until(`document.querySelector("#text").getBoundingClientRect().width > 250`);
    const small = await phone.evaluate<string[]>(
      `[...document.querySelectorAll("#actions button, #tabs button")].filter((b) => b.getBoundingClientRect().height < 40).map((b) => b.id)`,
    );
    assert.deepEqual(small, []);

    await phone.point("#toggle-list", "tap");
    await phone.point(`.file[data-file="smile.yaml"]`, "tap");
    await phone.until(`document.querySelector("#title").textContent === "smile" && ${DRAWN}`);
    const [x, y] = await placeOf(phone, 54);
    await phone.drag([x, y], [x + 8, y - 10], { how: "touch", steps: 6 });
    await phone.until(`document.querySelector("#status").textContent === "Not saved" && ${DRAWN}`);
    near(await placeOf(phone, 54), [x + 8, y - 10], 2);

    const wide = await openPage(browser, server.url, { width: 3840, height: 2160 });
    const widths = await wide.evaluate<number[]>(
      `["#controls", "#text"].map((id) => document.querySelector(id).getBoundingClientRect().width)`,
    );
    assert.ok(widths.every((px) => px > 500), `${widths}`);
    assert.deepEqual([...page.problems, ...phone.problems, ...wide.problems], []);
    await server.stop();
  });
});
