import assert from "node:assert/strict";
import { formatField, formatSeconds, formatTable, reporterFor } from "../../runtime/run/progress.ts";

/** A reporter on a fake output and a clock that is set by hand. */
function recorded(terminal: boolean) {
  let text = "";
  const clock = { ms: 0 };
  const out = {
    isTerminal: () => terminal,
    writeSync(bytes: Uint8Array) {
      text += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  };
  return { clock, reporter: reporterFor(out, () => clock.ms), text: () => text };
}

Deno.test("elsewhere than on a terminal progress is a plain line every ten seconds", () => {
  const { clock, reporter, text } = recorded(false);
  reporter.event({ event: "stage", stage: "train", uses: "fake/train", reason: "it is new", number: 1, of: 2 });
  for (let step = 1; step <= 250; step++) {
    clock.ms = step * 100;
    reporter.event({ event: "progress", stage: "train", done: step, total: 300, fields: { loss: 1 / step } });
  }
  reporter.event({ event: "log", stage: "train", text: "well" });
  reporter.event({ event: "done", stage: "train", seconds: 25 });
  assert.equal(
    text(),
    "[1/2] train (fake/train): it is new\n" +
      "      train  101/300  10.0/s  20 s left  loss 0.009901\n" +
      "      train  201/300  10.0/s  9.9 s left  loss 0.004975\n" +
      "      well\n      done in 25 s\n",
  );
});

Deno.test("of stages side by side each has its own speed, and lines say which one they are about", () => {
  const { clock, reporter, text } = recorded(false);
  const begin = (stage: string, number: number) =>
    reporter.event({ event: "stage", stage, uses: "fake/train", reason: "it is new", number, of: 2 });
  begin("left", 1);
  begin("right", 2);
  for (let step = 1; step <= 101; step++) {
    clock.ms = step * 100;
    reporter.event({ event: "progress", stage: "left", done: step, total: 300, fields: {} });
    reporter.event({ event: "progress", stage: "right", done: 2 * step, total: 300, fields: {} });
  }
  reporter.event({ event: "done", stage: "left", seconds: 25 });
  reporter.event({ event: "log", stage: "right", text: "well" });
  assert.equal(
    text(),
    "[1/2] left (fake/train): it is new\n[2/2] right (fake/train): it is new\n" +
      "      left  101/300  10.0/s  20 s left\n      right  202/300  20.0/s  4.9 s left\n" +
      "      left: done in 25 s\n      well\n",
  );
});

Deno.test("the time of a slow step is in seconds, and the time left follows the last half minute", () => {
  const { clock, reporter, text } = recorded(false);
  for (const [minute, step] of [[0, 0], [1, 600], [2, 610], [3, 620], [4, 630]] as const) {
    clock.ms = minute * 60_000;
    reporter.event({ event: "progress", stage: "train", done: step, total: 640, fields: {} });
  }
  assert.match(text(), /630\/640 {2}6\.0 s each {2}1:00 left\n$/);
});

Deno.test("times, numbers and tables read well", () => {
  assert.deepEqual([0.04, 9.94, 59, 61, 3723].map(formatSeconds), ["0.0 s", "9.9 s", "59 s", "1:01", "1:02:03"]);
  assert.deepEqual([3, 0.123456, 1e-5, NaN].map((value) => formatField(value)), ["3", "0.1235", "1e-5", "NaN"]);
  assert.deepEqual(
    [["gpu_bytes", 1.5e9], ["parameters", 865_910_724], ["step_flops", 2.5e12], ["bytes", 12]].map(([name, value]) =>
      formatField(value!, String(name))
    ),
    ["1.50 GB", "866 M", "2.50 T", "12 B"],
  );
  assert.equal(
    formatTable([
      { detector: "before", images: 160, nme_interocular: 8, auc_10: 0.5 },
      { detector: "after", images: 1560, nme_interocular: 10.126, auc_10: 0.25 },
      { styles: 8 },
    ]),
    `
detector  images  nme_interocular  auc_10
-----------------------------------------
before       160             8.00  0.5000
after       1560            10.13  0.2500

styles
------
     8`.trimStart(),
  );
});
