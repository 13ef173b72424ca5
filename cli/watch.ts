/**
 * The command `watch`: a page that follows a run.
 *
 * The server reads the run's folder and nothing else, is reached from this machine only, and answers no other site.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { basename, extname, join } from "node:path";
import { HOST, portOption, serveLocally } from "./_local_server.ts";
import { type Context, UsageError } from "./command.ts";
import { exists, readTextIfExists } from "../formats/files.ts";
import { Html, markup, type Part } from "../formats/html.ts";
import { counted } from "../formats/numbers.ts";
import { formatField, formatSeconds } from "../runtime/run/progress.ts";
import { readLog, readRun, type RunState, type StageProgress } from "../runtime/run/status.ts";
import { trainingCharts } from "../stages/report/_line_chart.ts";
import { headlines, resultTables } from "../stages/report/_tables.ts";
import theme from "../formats/theme.css" with { type: "text" };
import style from "../stages/report/report.css" with { type: "text" };
import { lookUp } from "../engine/lookup.ts";

const EVERY_MS = 1000;
const MOST_PREVIEWS = 12;
const MOST_LINES = 20;
const MIME_TYPES = new Map([[".png", "image/png"], [".jpg", "image/jpeg"]]);

/** Declares `watch`. */
export const watch = ({ print }: Context) =>
  new Command()
    .argument("<DIR>", "folder of a run")
    .addOption(portOption(8787))
    .addHelpText("after", "\nExample:\n  deno task watch runs/full")
    .action(async (dir, { port }) => {
      if (!readRun(dir)) {
        throw new UsageError(
          `Cannot watch "${dir}" as no run left a log there, hint: deno task run pipelines/full.yaml writes runs/full`,
        );
      }
      const server = serveRun(dir, port);
      print(`http://${HOST}:${server.addr.port}/ follows ${dir}; Ctrl-C stops`);
      await server.finished;
    });

/**
 * Starts the server, on any free port for 0.
 *
 * @throws {UsageError} If the port is in use.
 */
export function serveRun(dir: string, port: number): Deno.HttpServer<Deno.NetAddr> {
  let last: { at: number; parts: Parts } = { at: -Infinity, parts: {} };
  let images = new Map<string, string>();
  // The folder is read once a second, whatever the number of viewers.
  const parts = () => {
    if (performance.now() - last.at < EVERY_MS * 0.9) return last.parts;
    const previews = findPreviews(dir);
    images = new Map(previews.map(({ url, path }) => [url.replace(/\?.*/, ""), path]));
    last = { at: performance.now(), parts: partsOf(dir, previews) };
    return last.parts;
  };
  const handle = async (request: Request, port: number): Promise<Response> => {
    const { pathname, host } = new URL(request.url);
    // A name of another site that leads here would let that site read the page.
    if (![HOST, "localhost"].some((name) => host === `${name}:${port}`)) return answer("Forbidden", 403);
    if (request.method !== "GET") return answer("Method not allowed", 405);
    if (pathname === "/") return page(dir, parts());
    if (pathname === "/events") return events(parts);
    const image = images.get(pathname);
    if (image) return await file(image, lookUp(MIME_TYPES, extname(image), "image types"));
    const report = decode(/^\/report\/([^/]+)$/.exec(pathname)?.[1] ?? "");
    const known = readRun(dir)?.stages.some(({ stage }) => stage === report);
    return known ? await file(join(dir, report, "index.html"), "text/html") : answer("Not found", 404);
  };
  return serveLocally({ handle }, port);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

const guard = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

function answer(text: string, status: number): Response {
  return new Response(text, { status, headers: guard });
}

async function file(path: string, type: string): Promise<Response> {
  try {
    const content = await Deno.readFile(path);
    const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
    return new Response(content, { headers: { ...guard, "content-type": type, "content-security-policy": policy } });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return answer("Not found", 404);
    throw error;
  }
}

/** The parts of the page by the ids of their places; only those that changed are put in anew. */
type Parts = Readonly<Record<string, string>>;

/** The page with the state as it is now; a script puts in what comes later. */
function page(dir: string, parts: Parts): Response {
  const nonce = crypto.getRandomValues(new Uint8Array(16)).toHex();
  const script = `
    const source = new EventSource("/events");
    source.onmessage = ({ data }) => {
      for (const [id, html] of Object.entries(JSON.parse(data))) document.getElementById(id).innerHTML = html;
      document.body.classList.remove("lost");
    };
    source.onerror = () => document.body.classList.add("lost");
  `;
  const places = Object.entries(parts).filter(([id]) => id !== "title").map(([id, html]) =>
    markup`<section id="${id}">${new Html(html)}</section>`
  );
  const html = markup`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title id="title">${new Html(parts["title"] ?? "")}</title>
    <link rel="icon" href="data:,">
    <style>${new Html(theme + style)}</style>
  </head>
  <body class="live">
    <header>
      <h1>${basename(dir)}</h1>
      <p>${dir}</p>
      <p class="offline">The server of this page has stopped; the page shows its last state.</p>
    </header>
    <main>${places}</main>
    <script nonce="${nonce}">${new Html(script)}</script>
  </body>
</html>
`;
  const policy = `default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src 'nonce-${nonce}'; ` +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  const headers = { ...guard, "content-type": "text/html; charset=utf-8", "content-security-policy": policy };
  return new Response(html.text, { headers });
}

/** Server-sent events: the parts that changed. */
function events(parts: () => Parts): Response {
  let timer: ReturnType<typeof setInterval>;
  let sent: Parts = {};
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = () => {
        const now = parts();
        const changed = Object.entries(now).filter(([id, html]) => html !== sent[id]);
        if (!changed.length) return;
        sent = now;
        controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(Object.fromEntries(changed))}\n\n`));
      };
      send();
      timer = setInterval(send, EVERY_MS);
    },
    cancel: () => clearInterval(timer),
  });
  return new Response(stream, { headers: { ...guard, "content-type": "text/event-stream" } });
}

function partsOf(dir: string, previews: readonly Preview[]): Parts {
  const run = readRun(dir);
  const charts = run?.stages.flatMap(({ stage }) => {
    const metrics = [join(dir, ".work", stage), join(dir, stage)].map((folder) =>
      readTextIfExists(join(folder, "metrics.jsonl"))
    );
    return trainingCharts(stage, metrics.find((text) => text !== undefined) ?? "");
  });
  const lines = readLog(dir).flatMap((event) => event.event === "log" ? `${event.stage}: ${event.text}` : []);
  const parts: Record<string, Part> = {
    title: `${run ? `${run.status}: ` : ""}${basename(dir)} - Facewright`,
    state: run ? state(run) : markup`<p>There is no run in this folder.</p>`,
    stages: run && stages(run, dir),
    results: run?.results.length
      ? markup`<h2>Results</h2>${headlines(run.results)}${resultTables(run.results)}`
      : undefined,
    training: charts?.length ? markup`<h2>Training</h2><div class="grid">${charts}</div>` : undefined,
    pictures: previews.length
      ? markup`<h2>Latest pictures</h2><div class="grid previews">${previews.map(previewFigure)}</div>`
      : undefined,
    lines: lines.length ? markup`<h2>Last lines</h2><pre>${lines.slice(-MOST_LINES).join("\n")}</pre>` : undefined,
  };
  return Object.fromEntries(Object.entries(parts).map(([id, part]) => [id, markup`${part}`.text]));
}

/** Explanations of states, where the word needs one. */
const meaning: Readonly<Record<RunState["status"], string>> = {
  running: "",
  done: "",
  failed: "",
  interrupted: "It was stopped. The same command continues where it was.",
  killed: "Its process has disappeared. The same command continues from the last checkpoint.",
};

const isDone = ({ status }: StageProgress) => status === "done" || status === "skipped";

function state(run: RunState): Html {
  const { status, owner, updated, message, stages } = run;
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const facts = [
    `${stages.filter(isDone).length} of ${counted(stages.length, "stage")} done`,
    `${formatSeconds(seconds)} of work`,
    owner ? `process ${owner.process} since ${utc(owner.since)}` : `last news ${updated ? utc(updated) : "none"}`,
  ];
  const share = stages.map((stage) => ({ ...stage, done: isDone(stage) ? 1 : shareOf(stage) }));
  const width = 100 / Math.max(1, stages.length);
  const blocks = share.map(({ done, status }, i) =>
    markup`<g class="${status}"><rect class="rest" x="${i * width}%" width="${
      width - 0.4
    }%" height="10" rx="2"/><rect x="${i * width}%" width="${done * (width - 0.4)}%" height="10" rx="2"/></g>`
  );
  return markup`
    <p><b class="badge ${status}">${status}</b> ${facts.join(" \u00b7 ")}</p>
    <svg class="blocks" width="100%" height="10">${blocks}</svg>
    ${meaning[status] ? markup`<p>${meaning[status]}</p>` : undefined}
    ${message ? markup`<pre class="message">${message}</pre>` : undefined}
  `;
}

const shareOf = ({ progress }: StageProgress) => progress?.total ? Math.min(1, progress.done / progress.total) : 0;

function stages(run: RunState, dir: string): Html {
  const rows = run.stages.map((one) => {
    const { stage, status, seconds, progress } = one;
    const fields = Object.entries(progress?.fields ?? {}).map(([name, value]) => `${name} ${formatField(value, name)}`);
    const link = exists(join(dir, stage, "index.html"))
      ? markup`<a href="/report/${encodeURIComponent(stage)}">${stage}</a>`
      : stage;
    const left = status === "running" && progress?.done
      ? [`${formatSeconds(seconds / progress.done * (progress.total - progress.done))} left`]
      : [];
    const notes = progress ? [`${progress.done}/${progress.total}`, ...left, ...fields] : [];
    const bar = progress &&
      markup`<svg class="bar" width="100%" height="8"><rect width="${100 * shareOf(one)}%" height="8" rx="2"/></svg>`;
    return markup`<tr><td>${link}</td><td class="${status}">${
      status === "skipped" ? "done before" : status
    }</td><td class="number">${
      seconds > 0 || isDone(one) ? formatSeconds(seconds) : ""
    }</td><td class="plot">${bar}</td><td class="notes">${notes.join(" \u00b7 ")}</td></tr>\n`;
  });
  return markup`<h2>Stages</h2><div class="wide"><table class="timing"><thead><tr><th>stage</th><th>state</th>
<th class="number">time</th><th class="plot"></th><th></th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

const utc = (time: string) => `${time.slice(0, 19).replace("T", " ")} UTC`;

/** An image that a stage has written. */
interface Preview {
  readonly stage: string;
  readonly name: string;
  readonly path: string;
  readonly url: string;
  readonly time: number;
}

/** The newest images of stages that are done or on their way. */
function findPreviews(dir: string): Preview[] {
  const stages = readRun(dir)?.stages ?? [];
  const found = stages.flatMap(({ stage }) =>
    [stage, `.${stage}.tmp`, `.${stage}.tmp/images`, `.work/${stage}/files`].flatMap((folder, i) =>
      imagesIn(join(dir, folder)).map(({ name, path, time }): Preview => ({
        stage,
        name,
        path,
        time,
        url: `/image/${i}/${encodeURIComponent(stage)}/${encodeURIComponent(name)}?${time}`,
      }))
    )
  );
  return found.sort((a, b) => b.time - a.time).slice(0, MOST_PREVIEWS);
}

function imagesIn(folder: string): { name: string; path: string; time: number }[] {
  try {
    return [...Deno.readDirSync(folder)].flatMap(({ name }) => {
      const path = join(folder, name);
      return MIME_TYPES.has(extname(name)) ? [{ name, path, time: Deno.statSync(path).mtime?.getTime() ?? 0 }] : [];
    });
  } catch (error) {
    // A run moves and removes folders while they are listed.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

function previewFigure({ stage, name, url }: Preview): Html {
  return markup`<figure class="sheet"><figcaption>${stage} <small>${name}</small></figcaption><a href="${url}"><img src="${url}" alt="${stage}: ${name}"></a></figure>`;
}
