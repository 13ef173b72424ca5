import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { createImage } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { silent } from "../../runtime/run/progress.ts";
import { stage } from "../../runtime/stage.ts";
import { serveRun } from "../../cli/watch.ts";
import { inFolder } from "../stages/run_stages.ts";

Deno.test("watch follows a run, escapes what it shows, and answers this machine's own pages only", async () => {
  await inFolder(async (root) => {
    const dir = join(root, "runs/live");
    const file = join(root, "live.yaml");
    await Deno.writeTextFile(file, 'stages: { slow: { uses: fake/slow, with: { note: "<b>" } } }');
    const server: { now?: Deno.HttpServer<Deno.NetAddr> } = {};
    const get = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(`http://127.0.0.1:${server.now!.addr.port}${path}`, init);
      return { status: response.status, headers: response.headers, text: await response.text() };
    };
    const slow = stage({
      id: "fake/slow",
      doc: "Is looked at while it runs.",
      version: 1,
      inputs: {},
      output: "dataset",
      options: z.object({ note: z.string() }),
      async run(ctx, _inputs, { note }) {
        ctx.log(`<script>alert("${note}")</script>`);
        for (let step = 1; step <= 3; step++) ctx.metric({ step, loss: 1 / step });
        ctx.progress(3, 10, { loss: 1 / 3 });
        await writePng(join(ctx.dir, "a 'b'.png"), createImage(8, 8));
        // The state on disk is at most a second old.
        await new Promise((resolve) => setTimeout(resolve, 1100));
        ctx.progress(4, 10);
        server.now = serveRun(dir, 0);

        const { text, headers } = await get("/");
        assert.match(headers.get("content-security-policy")!, /^default-src 'none'/);
        assert.match(text, /<td class="running">running<\/td>/);
        assert.match(text, /4\/10/);
        assert.match(text, /<figure class="card chart">/);
        assert.match(text, /slow: &lt;script&gt;alert\(&quot;&lt;b&gt;/);
        assert.doesNotMatch(text, /(?:src|href)="(?!\/|data:,)/, "nothing is loaded from elsewhere");
        const [, image] = /<img src="([^"]+)"/.exec(text)!;
        assert.equal((await get(image!.replaceAll("&#39;", "'"))).headers.get("content-type"), "image/png");
        for (
          const path of ["/image/0/slow/..%2f..%2fsummary.json", "/report/..%2f..", "/report/slow", "/x"]
        ) {
          assert.equal((await get(path)).status, 404, path);
        }
        assert.equal((await get("/", { method: "POST" })).status, 405);
        assert.equal(await askAs(server.now.addr.port, "evil.example"), "HTTP/1.1 403 Forbidden");
        ctx.progress(10, 10);
      },
    });
    const pipeline = await readPipeline(file, { "fake/slow": () => Promise.resolve(slow) });
    const openDevice = () => assert.fail("no GPU is needed");
    await runPipeline(pipeline, { root: join(root, "runs"), reporter: silent, openDevice });

    const stream = await fetch(`http://127.0.0.1:${server.now!.addr.port}/events`);
    const reader = stream.body!.getReader();
    let text = "";
    while (!text.includes(">done<")) text += new TextDecoder().decode((await reader.read()).value);
    assert.match(text, /^data: {"title":"/);
    const [, later] = text.split("\n\n");
    if (later) assert.doesNotMatch(later, /"training"/, "what did not change is not sent again");
    await reader.cancel();
    await server.now!.shutdown();
  });
});

/** The first line of the answer to a request that names another host. */
async function askAs(port: number, name: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`));
  const bytes = new Uint8Array(4096);
  const length = await connection.read(bytes);
  return new TextDecoder().decode(bytes.subarray(0, length ?? 0)).split("\r\n")[0]!;
}
