import assert from "node:assert/strict";
import { reportIn } from "./report_run.ts";
import { inFolder } from "./run_stages.ts";

Deno.test("report/html writes one page that holds everything and escapes it", async () => {
  await inFolder(async (dir) => {
    const page = await Deno.readTextFile(await reportIn(dir));
    assert.doesNotMatch(page, /<script/);
    assert.doesNotMatch(page, /(?:src|href)="(?!data:|#)/, "nothing is loaded from elsewhere");
    assert.match(page, /<title>Faces &amp; &lt;more&gt; - Facewright<\/title>/);
    assert.match(page, /<td class="number best">6.12<small> −24 %<\/small>/);
    assert.equal(page.match(/<img src="data:image\/png;base64,/g)!.length, 2 * 6 + 1);
    assert.equal(page.match(/<figure class="chart">/g)!.length, 2);
    assert.match(page, /<td>images 16, styles 2<\/td>/);
    assert.match(page, /<pre>drew 16 &lt;images&gt;<\/pre>/);
    assert.match(page, /note: &lt;\/pre&gt;/);
  });
});
