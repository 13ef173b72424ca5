/**
 * The command `watch`: a page about a run that follows it while it goes on.
 *
 * The server reads the run's folder and nothing else, is reached from this machine only, and answers no other site.
 *
 * @module
 */
import { extname, join } from "node:path";
import { one, parse, UsageError } from "../runtime/cli.ts";
import { exists, readIfThere } from "../runtime/files.ts";
import { Html, markup, type Part } from "../runtime/html.ts";
import { formatField, formatSeconds, formatTable } from "../runtime/progress.ts";
import { readLog, readRun, type RunState } from "../runtime/run_status.ts";
import { trainingCharts } from "./_line_chart.ts";
import style from "./report.css" with { type: "text" };

const host = "127.0.0.1";
const everyMs = 1000;
const mostPreviews = 12;
const mimeTypes: Readonly<Record<string, string>> = { ".png": "image/png", ".jpg": "image/jpeg" };

/** Serves the page about a run until it is stopped; resolves to the exit code. */
export async function watch(args: string[], print: (line: string) => void): Promise<number> {
  const { values, positionals } = parse({ args, options: { port: { type: "string" } }, allowPositionals: true });
  const dir = one(positionals, "folder of a run");
  const port = Number(values.port ?? 8787);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new UsageError(`Cannot listen on port "${values.port}": it must be a whole number from 0 to 65535`);
  }
  if (!readRun(dir)) {
    throw new UsageError(`Cannot watch "${dir}" as no run left a log there, hint: name a folder such as runs/full`);
  }
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = serveRun(dir, port);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new UsageError(`Cannot listen on port ${port} as it is in use, hint: add --port 0 for any that is free`);
  }
  print(`http://${host}:${server.addr.port}/ follows ${dir}; Ctrl-C stops`);
  await server.finished;
  return 0;
}

/** Starts the server, on any free port for 0. */
export function serveRun(dir: string, port: number): Deno.HttpServer<Deno.NetAddr> {
  let last = { at: -Infinity, text: "" };
  let images = new Map<string, string>();
  // However many look, the folder is read once a second.
  const fragment = () => {
    if (performance.now() - last.at < everyMs * 0.9) return last.text;
    const previews = findPreviews(dir);
    images = new Map(previews.map(({ url, path }) => [url.replace(/\?.*/, ""), path]));
    last = { at: performance.now(), text: body(dir, previews).text };
    return last.text;
  };
  const server = Deno.serve({ hostname: host, port, onListen() {} }, (request) => {
    const { pathname, host: asked } = new URL(request.url);
    // A name of another site that leads here would let that site read the page.
    const names = [host, "localhost"].map((name) => `${name}:${server.addr.port}`);
    if (!names.includes(asked)) return answer("Forbidden", 403);
    if (request.method !== "GET") return answer("Method not allowed", 405);
    if (pathname === "/") return page(dir, fragment());
    if (pathname === "/events") return events(fragment);
    const image = images.get(pathname);
    if (image) return file(image, mimeTypes[extname(image)]!);
    const report = /^\/report\/([^/]+)$/.exec(pathname)?.[1];
    const known = readRun(dir)?.stages.some(({ stage }) => stage === decode(report ?? ""));
    return known ? file(join(dir, decode(report!), "index.html"), "text/html") : answer("Not found", 404);
  });
  return server;
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

/** The page with the state as it is now; a script puts in what comes later. */
function page(dir: string, state: string): Response {
  const nonce = crypto.getRandomValues(new Uint8Array(16)).toHex();
  const script = `
    const main = document.querySelector("main"), source = new EventSource("/events");
    source.onmessage = ({ data }) => { main.innerHTML = JSON.parse(data); document.body.classList.remove("lost"); };
    source.onerror = () => document.body.classList.add("lost");
  `;
  const html = markup`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${dir} - Facewright</title>
    <link rel="icon" href="data:,">
    <style>${new Html(style)}</style>
  </head>
  <body>
    <header><h1>${dir}</h1><p class="offline">The server of this page has stopped.</p></header>
    <main>${new Html(state)}</main>
    <script nonce="${nonce}">${new Html(script)}</script>
  </body>
</html>
`;
  const policy = `default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src 'nonce-${nonce}'; ` +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  const headers = { ...guard, "content-type": "text/html; charset=utf-8", "content-security-policy": policy };
  return new Response(html.text, { headers });
}

/** Server-sent events: the state whenever it is another one. */
function events(state: () => string): Response {
  let timer: ReturnType<typeof setInterval>;
  let sent = "";
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = () => {
        const text = state();
        if (text === sent) return;
        sent = text;
        controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(text)}\n\n`));
      };
      send();
      timer = setInterval(send, everyMs);
    },
    cancel: () => clearInterval(timer),
  });
  return new Response(stream, { headers: { ...guard, "content-type": "text/event-stream" } });
}

function body(dir: string, previews: readonly Preview[]): Html {
  const run = readRun(dir);
  if (!run) return markup`<p>There is no run in this folder.</p>`;
  const charts = run.stages.flatMap(({ stage }) => {
    const metrics = [join(dir, ".work", stage), join(dir, stage)].map((folder) =>
      readIfThere(join(folder, "metrics.jsonl"))
    );
    return trainingCharts(stage, metrics.find((text) => text !== undefined) ?? "");
  });
  const lines = readLog(dir).slice(-200).flatMap((event) =>
    event.event === "log" ? `${event.stage}: ${event.text}` : []
  );
  const sections: [string, Part][] = [
    ["Results", run.results.length ? markup`<pre>${formatTable(run.results)}</pre>` : undefined],
    ["Training", charts.length ? markup`<div class="grid">${charts}</div>` : undefined],
    ["Last lines", lines.length ? markup`<pre>${lines.slice(-20).join("\n")}</pre>` : undefined],
    [
      "Latest pictures",
      previews.length ? markup`<div class="grid previews">${previews.map(picture)}</div>` : undefined,
    ],
  ];
  return markup`${state(run, dir)}${
    sections.map(([name, part]) => part ? markup`<section><h2>${name}</h2>${part}</section>` : undefined)
  }`;
}

function state(run: RunState, dir: string): Html {
  const rows = run.stages.map(({ stage, status, seconds, progress }) => {
    const fields = Object.entries(progress?.fields ?? {}).map(([name, value]) => `${name} ${formatField(value, name)}`);
    const link = exists(join(dir, stage, "index.html"))
      ? markup`<a href="/report/${encodeURIComponent(stage)}">${stage}</a>`
      : stage;
    const bar = progress ? markup`<meter max="${progress.total}" value="${progress.done}"></meter>` : undefined;
    return markup`<tr><td>${link}</td><td class="${status}">${
      status === "skipped" ? "done before" : status
    }</td><td class="number">${formatSeconds(seconds)}</td><td>${bar}</td><td>${
      progress ? `${progress.done}/${progress.total}` : ""
    } ${fields.join("  ")}</td></tr>\n`;
  });
  const owner = run.owner
    ? `process ${run.owner.process} since ${utc(run.owner.since)}`
    : `last news ${run.updated ? utc(run.updated) : "none"}`;
  return markup`<p><b class="${run.status}">${run.status}</b>, ${owner}</p>${
    run.message ? markup`<pre>${run.message}</pre>` : undefined
  }<div class="wide"><table><thead><tr><th>stage</th><th>state</th><th class="number">time</th><th></th><th></th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

const utc = (time: string) => `${time.slice(0, 19).replace("T", " ")} UTC`;

/** A picture that a stage has written. */
interface Preview {
  readonly stage: string;
  readonly name: string;
  readonly path: string;
  readonly url: string;
  readonly time: number;
}

/** The newest pictures of stages that are done or on their way. */
function findPreviews(dir: string): Preview[] {
  const stages = readRun(dir)?.stages ?? [];
  const found = stages.flatMap(({ stage }) =>
    [stage, `.${stage}.tmp`, `.${stage}.tmp/images`, `.work/${stage}/files`].flatMap((folder, i) =>
      picturesIn(join(dir, folder)).map(({ name, path, time }): Preview => ({
        stage,
        name,
        path,
        time,
        url: `/image/${i}/${encodeURIComponent(stage)}/${encodeURIComponent(name)}?${time}`,
      }))
    )
  );
  return found.sort((a, b) => b.time - a.time).slice(0, mostPreviews);
}

function picturesIn(folder: string): { name: string; path: string; time: number }[] {
  try {
    return [...Deno.readDirSync(folder)].flatMap(({ name }) => {
      const path = join(folder, name);
      return extname(name) in mimeTypes ? [{ name, path, time: Deno.statSync(path).mtime?.getTime() ?? 0 }] : [];
    });
  } catch (error) {
    // A run moves and removes folders while they are listed.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

function picture({ stage, name, url }: Preview): Html {
  return markup`<figure class="sheet"><figcaption><b>${stage}</b> ${name}</figcaption><img src="${url}" alt="${stage}: ${name}"></figure>`;
}
