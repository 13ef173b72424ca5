/**
 * The page of `deno task page` in headless Chromium, opened as a file: its faces are those of the library here.
 *
 * @module
 */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { openDevice } from "../../engine/device.ts";
import { createImage, type Image } from "../../faces/data/image.ts";
import { encodePng } from "../../faces/data/image_file.ts";
import { DEFAULT_POSE, renderFaces, samplePerson, sampleShot } from "../../faces/render/render.ts";
import { loadStyle } from "../../faces/render/styles.ts";
import { Random } from "../../engine/rng.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { type PictureRow, rowOf } from "../../models/detectors/face_rows.ts";
import { findFaces } from "../../models/detectors/find_faces.ts";
import { loadFinder } from "../../models/finder/finder.ts";
import { SHIPPED_DETECTOR, SHIPPED_FINDER } from "../../cli/command.ts";
import { runCommand } from "../cli/run_command.ts";
import { Browser, chromiumTest } from "../report_chromium.ts";

/** Largest distance of a landmark between the browser and here, pixels. */
const TOLERANCE_PX = 0.05;

/** A page of comics: two rendered faces on a ground. */
async function twoFaces(): Promise<Image> {
  const device = await openDevice();
  const { render } = await loadStyle("pipelines/styles/photo.yaml");
  const heads = [1, 2].map((index) => ({
    person: samplePerson(new Random(0, "page.people").at(index)),
    shot: sampleShot(new Random(0, "page.shots").at(index), { ...DEFAULT_POSE, heavy: false }),
  }));
  const faces = await renderFaces(device.gpu, heads, render, 160);
  device.destroy();
  const sheet = createImage(420, 240, [190, 180, 160]);
  faces.forEach(({ image }, k) => {
    for (let y = 0; y < 160; y++) {
      sheet.data.set(image.data.subarray(3 * 160 * y, 3 * 160 * (y + 1)), 3 * (420 * (y + 40) + 30 + 200 * k));
    }
  });
  return sheet;
}

/** Drops files on the page, as a user does. */
const drop = (files: readonly { name: string; base64: string }[]) =>
  `(() => {
  const transfer = new DataTransfer();
  for (const { name, base64 } of ${JSON.stringify(files)}) {
    transfer.items.add(new File([Uint8Array.fromBase64(base64)], name));
  }
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
})()`;

/** Presses the button with this text, and gives the text of the file that it saves. */
const saved = (text: string) =>
  `(async () => {
  let blob;
  const create = URL.createObjectURL;
  URL.createObjectURL = (made) => (blob = made, create(made));
  [...document.querySelectorAll("button")].find((button) => button.textContent === ${JSON.stringify(text)}).click();
  URL.createObjectURL = create;
  return await blob.text();
})()`;

async function withPage(use: (url: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "facewright_" });
  try {
    const { code, notes } = await runCommand(["page", `${dir}/site`]);
    assert.deepEqual([code, notes], [0, ""]);
    await use(pathToFileURL(`${dir}/site/index.html`).href);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

chromiumTest(
  "the page finds the faces that detect finds, says what it cannot read, and asks for nothing from elsewhere",
  async () => {
    const image = await twoFaces();
    const device = await openDevice();
    using finder = await loadFinder(device, SHIPPED_FINDER), detector = await loadDetector(device, SHIPPED_DETECTOR);
    const expected = rowOf("two.png", image, await findFaces(finder, detector, image, { min_score: 0.5, flip: true }));
    device.destroy();
    assert.equal(expected.faces.length, 2);
    await withPage(async (url) => {
      await using browser = await Browser.open({ webgpu: true });
      const page = await browser.visit(url, { width: 360, height: 800 });
      await page.until(`document.querySelector("#status").textContent.startsWith("Ready")`);
      await page.evaluate(drop([
        { name: "broken.png", base64: new TextEncoder().encode("no picture").toBase64() },
        { name: "two.png", base64: encodePng(image).toBase64() },
      ]));
      await page.until(`document.querySelectorAll(".picture").length === 2 && document.querySelector("canvas")`, 240);
      const text = await page.evaluate<string>("document.querySelector('#pictures').innerText");
      assert.match(text, /two\.png\s+420 x 240 pixels: 2 faces, scores/);
      assert.match(text, /broken\.png\s+This browser cannot decode the file as a picture/);
      const row: PictureRow = JSON.parse(await page.evaluate(saved("Save JSON")));
      assert.deepEqual([row.file, row.width, row.height, row.faces.length], ["two.png", 420, 240, 2]);
      for (const [k, { landmarks, score }] of row.faces.entries()) {
        const other = expected.faces[k]!;
        assert.ok(Math.abs(score! - other.score!) < 0.01);
        for (const [p, [x, y]] of landmarks.entries()) {
          const distance = Math.hypot(x! - other.landmarks[p]![0]!, y! - other.landmarks[p]![1]!);
          assert.ok(distance < TOLERANCE_PX, `face ${k}, landmark ${p}: ${distance} px`);
        }
      }
      assert.match(await page.evaluate(saved("Save .pts of face 2")), /^version: 1\nn_points: 68/);
      assert.equal((await page.evaluate<string>(saved("Save all faces as JSON lines"))).trim().split("\n").length, 1);
      assert.ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no scrolling to the side");
      assert.deepEqual(page.requests.filter((request) => !/^(file|blob|data):/.test(request)), []);
      assert.deepEqual(page.problems, []);
    });
  },
);

chromiumTest("without WebGPU the page says what is missing", async () => {
  await withPage(async (url) => {
    await using browser = await Browser.open();
    const page = await browser.visit(url, { width: 1280, height: 800 });
    await page.until(`document.querySelector("#status").classList.contains("failed")`);
    assert.match(
      await page.evaluate("document.querySelector('#status').textContent"),
      /has no WebGPU, which the page needs/,
    );
    assert.ok(await page.evaluate("document.querySelector('#files').disabled"));
  });
});
