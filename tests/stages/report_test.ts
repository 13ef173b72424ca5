import assert from "node:assert/strict";
import { markup } from "../../formats/html.ts";
import { headlines, resultTables } from "../../stages/report/_tables.ts";
import { reportIn } from "./report_run.ts";
import { inFolder } from "./run_stages.ts";

Deno.test("report/html writes one page that holds everything and escapes it", async () => {
  await inFolder(async (dir) => {
    const page = await Deno.readTextFile(await reportIn(dir));
    assert.doesNotMatch(page, /<script/);
    assert.doesNotMatch(page, /(?:src|href)="(?!data:|#)/, "nothing is loaded from elsewhere");
    assert.match(page, /<title>Faces &amp; &lt;more&gt; - Facewright<\/title>/);
    assert.match(page, /<td class="number best">6.12<small class="change">−24 %<\/small>/);
    assert.match(page, /<small class="ends">5.50 to 6.90<\/small>/);
    assert.equal(
      count(page, /<figure class="card wide comparison">/g),
      2 * 3,
      "styles, groups and regions of each dataset",
    );
    assert.match(page, /<td>schiele <small>8<\/small><\/td>/);
    assert.equal(count(page, /<figure class="card offsets">/g), 2 * 2, "each detector on each dataset");
    assert.match(page, /mean offsets of [^<]*, 5\.50 % without them</);
    assert.equal(count(page, /<title>landmark 67: 5\.0 %<\/title>/g), 2 * 2);
    const faces = 2 * 6 + 2 * 6; // two styles and two edits
    const examples = 2 * 2;
    assert.equal(count(page, /<figure class="face"/g), faces + 16 + examples);
    const large = 16 + examples / 2;
    assert.equal(count(page, /<img src="data:image\/jpeg;base64,[^"]*" alt="[^"]*" width="128"/g), large);
    assert.equal(count(page, /<path class="truth"/g), faces + 16 + examples);
    assert.equal(count(page, /<path class="found"/g), examples);
    assert.equal(count(page, /<figure class="sheet">/g), 1, "contact sheets are faces to point at");
    assert.equal(count(page, /<figure class="card chart">/g), 2 + 2 * 2, "error curves, losses and errors");
    assert.equal(count(page, /<path class="s0 faint"/g), 2, "a noisy line and its mean");
    assert.match(page, /<td class="notes">images 16, styles 2<p>drew 16 &lt;images&gt;<\/p><\/td>/);
    assert.match(page, /note: &lt;\/pre&gt;/);
  });
});

Deno.test("tables of a report have a column for each interval, and say what is not sure", () => {
  const row = (detector: string, nme_box_diagonal: number, change_low: number, change_high: number) => (
    { stage: "table", detector, dataset: "art", runs: 3, nme_box_diagonal, change_low, change_high }
  );
  const rows = [row("star", 8, 0, 0), row("ours", 7, -15.04, 2)];
  const table = markup`${resultTables(rows)}`.text;
  assert.match(table, /<th class="number">change, % <small>95 % interval<\/small><\/th>/);
  assert.match(table, /<td class="number">−15.0 to 2.0<\/td>/);
  assert.doesNotMatch(table, /change high|change low/);
  assert.match(markup`${headlines(rows)}`.text, /−13 % against <b>star<\/b>, within the 95 % interval/);
  assert.doesNotMatch(markup`${headlines([rows[0]!, row("ours", 7, -15, -2)])}`.text, /within/);
  assert.match(markup`${headlines([rows[0]!, row("ours", 9, 2, 15)])}`.text, /no detector is better than <b>star/);
});

function count(text: string, what: RegExp): number {
  return text.match(what)?.length ?? 0;
}
