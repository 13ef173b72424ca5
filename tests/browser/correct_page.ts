/**
 * The page of `deno task correct` for tests: a server of its own process, and what a person does on the page.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { writePng } from "../../faces/data/image_file.ts";
import { drawLandmarks } from "../../faces/draw.ts";
import { formatPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import type { Browser, Page, View } from "../report_chromium.ts";

/** Side of the pictures, pixels. */
export const SIDE = 160;
/** The landmarks that are drawn. */
export const TRUTH = Float32Array.from(neutralFace(SIDE));
/** The product's folder. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Drawn faces whose landmarks are a few pixels beside the drawing. */
export async function facesIn(dir: string, count: number): Promise<string> {
  await Deno.mkdir(dir);
  for (let k = 0; k < count; k++) {
    await writePng(`${dir}/${k}.png`, drawLandmarks(TRUTH, SCHEMAS.ibug68, SIDE));
    await Deno.writeTextFile(`${dir}/${k}.pts`, formatPts(TRUTH.map((px, i) => i % 2 ? px : px + 3)));
  }
  return dir;
}

/** A server of its own process. */
export class Server {
  private constructor(private readonly process: Deno.ChildProcess, readonly url: string) {}

  /** Starts it on a folder. */
  static start(dir: string, ...more: string[]): Promise<Server> {
    return Server.startIn(ROOT, dir, "--no-detector", ...more);
  }

  /** Starts it in a working folder, which runs of pipelines go to. */
  static async startIn(cwd: string, ...args: string[]): Promise<Server> {
    const permissions = ["-P=cli", "--allow-net=127.0.0.1", "--allow-write", "--allow-run=deno,nvidia-smi"];
    const process = new Deno.Command("deno", {
      args: ["run", "-q", "--no-prompt", ...permissions, `${ROOT}main.ts`, "correct", "--port", "0", ...args],
      cwd,
      env: { INIT_CWD: cwd },
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "", url: string | undefined;
    while (!(url = /^(http\S+) /m.exec(text)?.[1])) {
      const { value, done } = await reader.read();
      assert.ok(!done, `the server ended: ${text}`);
      text += value;
    }
    await reader.cancel();
    return new Server(process, url);
  }

  /** Ends it. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    this.process.kill(signal);
    await this.process.status;
  }
}

/** True once all is written. */
export const SAVED = `document.querySelector("#status").textContent === "Saved"`;
const DESKTOP: View = { width: 1280, height: 800 };

/** Opens the page, and waits for a face. */
export async function openPage(browser: Browser, url: string, view: View = DESKTOP): Promise<Page> {
  const page = await browser.visit(url, view);
  await ready(page);
  return page;
}

/** Waits for a face, by default for any. */
export async function ready(page: Page, face = ""): Promise<void> {
  await page.until(
    `document.querySelector("#stage image")?.getAttribute("href") && ` +
      `document.querySelector("#title").textContent.startsWith(${JSON.stringify(face)}) && ${SAVED}`,
  );
}

/** Place of a landmark on the page. */
export const placeOf = (page: Page, p: number) =>
  page.evaluate<[number, number]>(`(() => {
    const { left, top, width, height } = document.querySelector('.point[data-point="${p}"] .dot').getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  })()`);

/** Pixels of the screen for each of the picture. */
export const pixelsPer = (page: Page) =>
  page.evaluate<number>(`(() => {
    const stage = document.querySelector("#stage");
    return stage.getBoundingClientRect().width / stage.viewBox.baseVal.width;
  })()`);

/** Drags a landmark by pixels of the picture, from a little beside it, as a hand does. */
export async function dragBy(
  page: Page,
  p: number,
  dx: number,
  dy: number,
  how: "mouse" | "touch" = "mouse",
): Promise<void> {
  const [x, y] = await placeOf(page, p), scale = await pixelsPer(page);
  await page.drag([x + 1, y - 1], [x + 1 + dx * scale, y - 1 + dy * scale], { how });
  await page.until(SAVED);
}

/** Fails for two places that are farther apart. */
export const near = (a: readonly number[], b: readonly number[], within: number) =>
  assert.ok(Math.hypot(a[0]! - b[0]!, a[1]! - b[1]!) <= within, `${a} is not within ${within} px of ${b}`);

/** The true place of a landmark. */
export const truthOf = (p: number) => [TRUTH[2 * p]!, TRUTH[2 * p + 1]!];

/** A landmark as the server has it. */
export const stateAt = (page: Page, face: number, p: number) =>
  page.evaluate<[number, number]>(
    `fetch("face/${face}").then((r) => r.json()).then(({ state }) => state.landmarks[${p}])`,
  );
