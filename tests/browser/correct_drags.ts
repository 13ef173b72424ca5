/**
 * Counts the drags that bring faces to their true landmarks on the page of `correct`, with the pointer of a browser:
 *
 * ```sh
 * deno run -P=cli -W=/tmp,GUESSES -N=127.0.0.1 --allow-run=chromium tests/browser/correct_drags.ts GUESSES TRUTH
 * ```
 *
 * GUESSES is a folder of images with `.pts` files to begin with, TRUTH one with the true `.pts` files of the same names. Each
 * drag takes the landmark that is farthest from its place, until the mean error is 2 % of the distance between the outer eye
 * corners; once with the mode in which the other landmarks follow, once with single landmarks. The folder's corrections are
 * set aside.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Journal, setAside } from "../../cli/_correct_journal.ts";
import { CorrectServer } from "../../cli/_correct_server.ts";
import { HOST, serveLocally } from "../../cli/_local_server.ts";
import { openSource } from "../../cli/_correct_source.ts";
import { interocular } from "../../faces/landmarks.ts";
import { readPts } from "../../faces/pts.ts";
import { readErrors } from "../../models/detectors/errors.ts";
import { Browser } from "../report_chromium.ts";

/** Mean error at which a face is done, as a share of the distance between the outer eye corners. */
const DONE = 0.02;
/** Most drags of a face: each landmark twice. */
const MOST = 2;

const [dir, truthDir] = Deno.args;
assert.ok(dir && truthDir, "GUESSES TRUTH");
const source = await openSource(dir);
const errors = await readErrors("models/faces", source.schema);
const { count } = source.schema;

type Points = readonly (readonly [number, number])[];

async function dragsOf(key: string): Promise<number[]> {
  setAside(dir!);
  using journal = Journal.open(source);
  const stop = new AbortController();
  const http = serveLocally(new CorrectServer({ source, journal, errors, token: "drags" }), 0, stop.signal);
  await using browser = await Browser.open();
  const page = await browser.visit(`http://${HOST}:${http.addr.port}/drags/`, { width: 1280, height: 800 });
  await page.until(`document.querySelector("#stage image")?.getAttribute("href")`);
  await page.evaluate(
    `(document.querySelector("#order").value = "folder", document.querySelector("#order").dispatchEvent(new Event("change")))`,
  );
  const drags: number[] = [];
  for (const [k, { file_name }] of source.faces.entries()) {
    const truth = await readPts(`${truthDir}/${file_name.replace(/\.[^.]*$/, ".pts")}`, source.schema);
    const unit = interocular(truth, source.schema);
    await page.evaluate(`document.querySelector('[data-face="${k}"]').click()`);
    await page.until(`document.querySelector("#title").textContent === ${JSON.stringify(file_name)}`);
    await page.key(key);
    let done = 0;
    for (; done < MOST * count; done++) {
      const points: Points = journal.view(k).state.landmarks;
      const errors = points.map(([x, y], p) => Math.hypot(x - truth[2 * p]!, y - truth[2 * p + 1]!) / unit);
      if (errors.reduce((sum, error) => sum + error, 0) / count <= DONE) break;
      const worst = errors.indexOf(Math.max(...errors)), { revision } = journal.view(k);
      const [[x, y], scale] = await page.evaluate<[[number, number], number]>(`(() => {
        const stage = document.querySelector("#stage"), { left, top, width } = stage.getBoundingClientRect();
        const { x, y, width: wide } = stage.viewBox.baseVal, scale = width / wide, [px, py] = ${
        JSON.stringify(points[worst])
      };
        return [[left + (px - x) * scale, top + (py - y) * scale], scale];
      })()`);
      const [dx, dy] = [truth[2 * worst]! - points[worst]![0], truth[2 * worst + 1]! - points[worst]![1]];
      // Two landmarks at one place: the one that is meant has the focus.
      await page.evaluate(`document.querySelector('[data-point="${worst}"]').focus()`);
      await page.drag([x, y], [x + dx * scale, y + dy * scale], { steps: 2 });
      for (let wait = 0; journal.view(k).revision === revision && wait < 200; wait++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.ok(journal.view(k).revision > revision, `${file_name}: landmark ${worst} was not moved`);
    }
    drags.push(done);
  }
  assert.deepEqual(page.problems, []);
  stop.abort();
  await http.finished;
  return drags;
}

const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
const alone = await dragsOf("2"), follows = await dragsOf("1");
setAside(dir);
const fewer = 100 * (1 - mean(follows) / mean(alone));
const better = follows.filter((drags, k) => drags < alone[k]!).length;
// deno-lint-ignore no-console
console.log(
  `${alone.length} faces, drags a face: ${mean(alone).toFixed(1)} alone, ${
    mean(follows).toFixed(1)
  } when the rest follows: ` +
    `${fewer.toFixed(0)} % fewer; fewer on ${better} faces`,
);
