/**
 * A page of this machine: the rules by which its server answers requests.
 *
 * The server is reached from this machine only, under a path that begins with a secret; it answers no other site, and
 * serves only those of the product's files that the page is made of.
 *
 * @module
 */
import { Option } from "@commander-js/extra-typings";
import { timingSafeEqual } from "node:crypto";
import { stripTypeScriptTypes } from "node:module";
import type { z } from "zod";
import { writeError } from "../formats/disk_error.ts";
import { exists, readText } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { number, UsageError } from "./command.ts";

/** The only name under which the server listens. */
export const HOST = "127.0.0.1";

/** Largest body of a request, bytes. */
const MOST_BYTES = 1 << 20;

const GUARD = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Folder of the product's files, in which the modules of pages are. */
const ROOT = new URL("../", import.meta.url);

/** A request that is not answered. */
export class Refusal extends Error {
  /** Takes the status of HTTP and the reason. */
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** Parts of a page, as paths from the product's folder. */
export interface PageFiles {
  /** The page, which a browser gets for the path of the secret. */
  readonly html: string;
  /** Style sheets, by the names that the page gives them. */
  readonly styles: Readonly<Record<string, string>>;
  /** The page's first module; it and the modules that it imports are served under these paths, without types. */
  readonly entry: string;
}

/** A page with what is behind it. */
export interface LocalSite {
  /** The secret that paths begin with. */
  readonly token: string;
  /** The page. */
  readonly page: PageFiles;
  /** Answers a GET, given the path behind the secret; undefined if it has no such path. */
  readonly read: (path: string) => Response | undefined | Promise<Response | undefined>;
  /** Answers to a POST, given its JSON, by the path behind the secret. */
  readonly actions: Readonly<Record<string, (body: unknown) => Response | Promise<Response>>>;
}

/** Answers requests for a page, and leaves the network to its caller, so that tests need none. */
export class LocalServer {
  #modules: Promise<ReadonlyMap<string, string>> | undefined;

  /** Takes the page. */
  constructor(private readonly site: LocalSite) {}

  /**
   * Answers a request.
   *
   * @param request The request.
   * @param port Port of the server.
   * @returns The answer; a status of 4xx for whatever is not for this server.
   */
  async handle(request: Request, port: number): Promise<Response> {
    try {
      return await this.#answer(request, port);
    } catch (error) {
      if (error instanceof Refusal) return text(error.message, error.status);
      if (error instanceof InputError) return text(error.message, 422);
      throw error;
    }
  }

  async #answer(request: Request, port: number): Promise<Response> {
    const url = new URL(request.url);
    const hosts = [`${HOST}:${port}`, `localhost:${port}`];
    // A name of another site that leads here would let that site read the page.
    if (!hosts.includes(url.host)) throw new Refusal(403, "Forbidden");
    const origin = request.headers.get("origin");
    if (origin !== null && !hosts.some((host) => origin === `http://${host}`)) throw new Refusal(403, "Forbidden");
    const [, token = "", ...rest] = url.pathname.split("/");
    if (!isSame(token, this.site.token) || rest.length === 0) throw new Refusal(404, "Not found");
    const path = rest.join("/");
    if (request.method === "POST") return await this.#act(path, request, origin);
    if (request.method !== "GET") throw new Refusal(405, "Method not allowed");
    return await this.#file(path) ?? await this.site.read(path) ?? await this.#module(path);
  }

  async #file(path: string): Promise<Response | undefined> {
    const { html, styles } = this.site.page;
    if (path === "") return content(await readText(fileOf(html)), "text/html");
    return Object.hasOwn(styles, path) ? content(await readText(fileOf(styles[path]!)), "text/css") : undefined;
  }

  async #module(path: string): Promise<Response> {
    const module = (await (this.#modules ??= modulesOf(this.site.page.entry))).get(path);
    if (module === undefined) throw new Refusal(404, "Not found");
    return content(module, "text/javascript");
  }

  async #act(path: string, request: Request, origin: string | null): Promise<Response> {
    // Browsers name the origin with every POST; a form of another site cannot send this type.
    if (origin === null) throw new Refusal(403, "Forbidden");
    if (!/^application\/json\b/.test(request.headers.get("content-type") ?? "")) {
      throw new Refusal(415, "The body must be application/json");
    }
    if (!Object.hasOwn(this.site.actions, path)) throw new Refusal(404, "Not found");
    return await this.site.actions[path]!(await bodyOf(request));
  }
}

const fileOf = (path: string) => decodeURIComponent(new URL(path, ROOT).pathname);

function text(message: string, status: number): Response {
  return new Response(message, { status, headers: { ...GUARD, "content-type": "text/plain; charset=utf-8" } });
}

/** An answer of a type such as `text/css`; texts are sent in UTF-8. */
export function content(body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>, type: string): Response {
  const charset = typeof body === "string" ? "; charset=utf-8" : "";
  return new Response(body, {
    headers: { ...GUARD, "content-type": type + charset, "content-security-policy": POLICY },
  });
}

/** An answer in JSON. */
export function json(value: unknown): Response {
  return Response.json(value, { headers: GUARD });
}

/** Compares in constant time. */
function isSame(given: string, secret: string): boolean {
  const [a, b] = [given, secret].map((word) => new TextEncoder().encode(word));
  return a!.length === b!.length && timingSafeEqual(a!, b!);
}

/** The JSON of a request's body. */
async function bodyOf(request: Request): Promise<unknown> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > MOST_BYTES) throw new Refusal(413, "The body is too large");
    parts.push(part);
  }
  const bytes = await new Blob(parts).arrayBuffer();
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Refusal(400, "The body is no JSON in UTF-8");
  }
}

/**
 * Checks the body of a request against a shape.
 *
 * @throws {Refusal} If it has another one.
 */
export function bodyAs<T>(shape: z.ZodType<T>, body: unknown): T {
  const parsed = shape.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Refusal(400, `${issue?.path.join(".") || "the body"}: ${issue?.message}`);
}

/** The modules of a page by their paths, without types: a browser runs them as they are. */
async function modulesOf(entry: string): Promise<Map<string, string>> {
  const modules = new Map<string, string>(), waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (modules.has(path)) continue;
    const code = stripTypeScriptTypes(await readText(fileOf(path)));
    modules.set(path, code);
    for (const [, to] of code.matchAll(/^(?:import|export)\b[^;"]*?\bfrom\s*"(\.[^"]+)"/gm)) {
      waiting.push(new URL(to!, new URL(path, ROOT)).href.slice(ROOT.href.length));
    }
  }
  return modules;
}

/** A secret for the paths of a page. */
export function newToken(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toHex();
}

/**
 * The secret of an earlier start, so that windows of the page which are still open go on; a new one where there is none, or
 * where others than the owner may read it.
 *
 * @param path File of the secret, which only its owner may read.
 * @throws {InputError} If it cannot be written.
 */
export function keptToken(path: string): string {
  const isThere = exists(path);
  if (isThere) {
    // A link is not followed: its file may belong to another user.
    const { isFile, mode } = Deno.lstatSync(path), isPrivate = mode === null || (mode & 0o077) === 0;
    const token = isFile && isPrivate ? Deno.readTextFileSync(path).trim() : "";
    if (/^[0-9a-f]{32}$/.test(token)) return token;
  }
  const token = newToken();
  try {
    if (isThere) Deno.removeSync(path);
    Deno.writeTextFileSync(path, `${token}\n`, { mode: 0o600, createNew: true });
  } catch (error) {
    throw writeError(error, path);
  }
  return token;
}

/** `--port`. */
export const portOption = (port: number) =>
  new Option("--port <NUMBER>", "port to listen on, 0 for any that is free").argParser(
    number("a whole number from 0 to 65535", (port) => Number.isInteger(port) && port >= 0 && port <= 65535),
  ).default(port);

/**
 * Starts a server, on any free port for 0.
 *
 * @param server Answers requests, given the port.
 * @param signal Stops it.
 * @throws {UsageError} If the port is in use.
 */
export function serveLocally(
  server: Pick<LocalServer, "handle">,
  port: number,
  signal?: AbortSignal,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    const http: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
      { hostname: HOST, port, onListen() {}, ...(signal && { signal }) },
      (request) => server.handle(request, http.addr.port),
    );
    return http;
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new UsageError(`Cannot listen on port ${port} as it is in use, hint: add --port 0 for any that is free`);
  }
}

/**
 * Serves until Ctrl-C or SIGTERM.
 *
 * @param onListen Receives the port once the server listens.
 * @throws {UsageError} If the port is in use.
 */
export async function serveUntilStopped(
  server: Pick<LocalServer, "handle">,
  port: number,
  onListen: (port: number) => void,
): Promise<void> {
  const controller = new AbortController(), stop = () => controller.abort();
  const http = serveLocally(server, port, controller.signal);
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  onListen(http.addr.port);
  await http.finished;
  for (const signal of signals) Deno.removeSignalListener(signal, stop);
}
