/**
 * The server of `correct`: the page, the faces of one folder, and their changes.
 *
 * It is reached from this machine only, under a path that begins with a secret; it answers no other site, serves the files of
 * the page and the pictures of the folder by their numbers, and writes nothing but the journal.
 *
 * @module
 */
import { timingSafeEqual } from "node:crypto";
import { stripTypeScriptTypes } from "node:module";
import { z } from "zod";
import { readBytes, readText } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { createImage, cropSquare } from "../faces/data/image.ts";
import { decodeImage, encodeJpeg, readImage, readImageHeader, readImageSize } from "../faces/data/image_file.ts";
import { boundingBox, faceBox, type Landmarks } from "../faces/landmarks.ts";
import { pointAt } from "../faces/geometry.ts";
import { nextFaces, uprightShape } from "../faces/next_faces.ts";
import type { LandmarkSchema } from "../faces/schema.ts";
import { roundTo } from "../faces/statistics.ts";
import { changesFace } from "../formats/corrections.ts";
import type { Guess, Guesser } from "./_correct_guesser.ts";
import { ConflictError, type FaceState, type Journal } from "./_correct_journal.ts";
import { distanceDoubt } from "./_correct_review.ts";
import type { FaceSource } from "./_correct_source.ts";
import type { FaceDetails, FaceSummary, FolderFaces } from "./correct/api.ts";

/** The only name under which the server listens. */
export const HOST = "127.0.0.1";

/** Largest body of a request, bytes; side of the small pictures in the list, and how many of them are kept. */
const MOST_BYTES = 1 << 20, THUMB_PX = 96, MOST_THUMBS = 2000;
/** Faces that the usual shape is taken from, at most. */
const MOST_SHAPES = 2000;
/** Largest coordinate that a landmark may have, pixels. */
const MOST_PX = 1e6;

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

/** Folder of the product's files, in which the modules of the page are. */
const ROOT = new URL("../", import.meta.url);
const ENTRY = "cli/correct/app.ts";

/** A request that is not answered. */
class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** The parts of a server. */
export interface CorrectOptions {
  /** The faces. */
  readonly source: FaceSource;
  /** Their changes. */
  readonly journal: Journal;
  /** Guesses landmarks; without it there are none, and `reason` says why. */
  readonly guesser?: Guesser | undefined;
  /** See `guesser`. */
  readonly reason?: string | undefined;
  /** The secret that paths begin with. */
  readonly token: string;
}

/** Answers requests; the network aside, so that it can be tested without one. */
export class CorrectServer {
  readonly #options: CorrectOptions;
  readonly #doubts: (number | undefined)[];
  readonly #listeners = new Set<(text: string) => void>();
  readonly #thumbs = new Map<number, Uint8Array<ArrayBuffer>>();
  #upright: readonly (Landmarks | undefined)[] | undefined;
  #modules: Promise<ReadonlyMap<string, string>> | undefined;

  /** Takes the faces and their journal. */
  constructor(options: CorrectOptions) {
    this.#options = options;
    this.#doubts = options.source.faces.map(({ doubt }) => doubt);
  }

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
      if (error instanceof ConflictError) return text(error.message, 409);
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
    if (!isSame(token, this.#options.token) || rest.length === 0) throw new Refusal(404, "Not found");
    const path = rest.join("/");
    if (request.method === "POST") return await this.#change(path, request, origin);
    if (request.method !== "GET") throw new Refusal(405, "Method not allowed");
    return await this.#read(path);
  }

  async #read(path: string): Promise<Response> {
    if (path === "") return await this.#page();
    if (path === "style.css") return content(await readText(fileOf("cli/correct/style.css")), "text/css");
    if (path === "faces") return Response.json(this.#faces(), { headers: GUARD });
    if (path === "next") return Response.json(this.#next(), { headers: GUARD });
    if (path === "events") return this.#events();
    const [, kind = "", digits = ""] = /^(face|image|thumb)\/(\d{1,9})$/.exec(path) ?? [];
    if (kind) {
      const k = Number(digits);
      if (k >= this.#options.journal.count) throw new Refusal(404, "Not found");
      if (kind === "face") return Response.json(await this.#details(k), { headers: GUARD });
      return kind === "image" ? await this.#image(k) : await this.#thumb(k);
    }
    const module = (await (this.#modules ??= modulesOf(ENTRY))).get(path);
    if (module === undefined) throw new Refusal(404, "Not found");
    return content(module, "text/javascript");
  }

  async #page(): Promise<Response> {
    return new Response(await readText(fileOf("cli/correct/index.html")), {
      headers: { ...GUARD, "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY },
    });
  }

  #faces(): FolderFaces {
    const { source: { dir, kind, schema }, guesser, reason } = this.#options;
    const { name, count, names, contours, dots, regions, mirror, normalisers } = schema;
    return {
      dir,
      kind,
      schema: { name, count, names: Object.fromEntries(names), contours, dots, regions, mirror, normalisers },
      shape: meanShape(this.#shapes(), schema),
      guesses: guesser !== undefined,
      reason: reason ?? "",
      faces: this.#options.source.faces.map((_, k) => this.#summary(k)),
    };
  }

  /** Shapes of the faces before any correction. */
  #shapes(): readonly (Landmarks | undefined)[] {
    const { faces, schema } = this.#options.source;
    return this.#upright ??= faces.map(({ landmarks }) => uprightShape(landmarks, schema));
  }

  /** The faces in the order of what their correction would add. */
  #next(): number[] {
    const shapes = this.#shapes();
    return nextFaces(shapes.map((shape, k) => {
      const { verdict, changed } = this.#summary(k);
      return { shape, doubt: this.#doubts[k], done: verdict !== null || changed };
    }));
  }

  #summary(k: number): FaceSummary {
    const { file_name, face, style, group, score } = this.#options.source.faces[k]!;
    const { state, revision } = this.#options.journal.view(k);
    const { landmarks: was, occluded: was_occluded } = this.#options.journal.original(k);
    return {
      index: k,
      file_name,
      face,
      style,
      group,
      revision,
      doubt: this.#doubts[k] ?? null,
      score: score ?? null,
      verdict: state.verdict,
      changed: changesFace({ file_name, face, was, was_occluded, ...state, verdict: undefined }),
    };
  }

  async #details(k: number): Promise<FaceDetails> {
    const { journal, source } = this.#options;
    const { path, uncertainty_px, review } = source.faces[k]!;
    const { width, height } = await readImageSize(path);
    return {
      ...journal.view(k),
      summary: this.#summary(k),
      original: journal.original(k),
      width,
      height,
      uncertainty_px: uncertainty_px ?? null,
      review: review ?? null,
    };
  }

  async #image(k: number): Promise<Response> {
    const { path } = this.#options.source.faces[k]!;
    const bytes = await readBytes(path);
    const { format, orientation, cmyk } = readImageHeader(bytes, path);
    const shown = ["png", "jpeg", "webp", "gif", "bmp"].includes(format) && orientation === 1 && cmyk === undefined;
    if (shown) return content(bytes, `image/${format}`);
    return content(encodeJpeg(decodeImage(bytes, { name: path }), 95), "image/jpeg");
  }

  async #thumb(k: number): Promise<Response> {
    const kept = this.#thumbs.get(k);
    if (kept) return content(kept, "image/jpeg");
    const { path, landmarks } = this.#options.source.faces[k]!;
    const image = await readImage(path), box = faceBox(landmarks);
    const small = box.side >= 1 ? cropSquare(image, box, THUMB_PX) : createImage(THUMB_PX, THUMB_PX);
    const bytes = encodeJpeg(small, 80);
    if (this.#thumbs.size >= MOST_THUMBS) this.#thumbs.clear();
    this.#thumbs.set(k, bytes);
    return content(bytes, "image/jpeg");
  }

  async #change(path: string, request: Request, origin: string | null): Promise<Response> {
    // Browsers name the origin with every POST; a form of another site cannot send this type.
    if (origin === null) throw new Refusal(403, "Forbidden");
    if (!/^application\/json\b/.test(request.headers.get("content-type") ?? "")) {
      throw new Refusal(415, "The body must be application/json");
    }
    if (!["set", "undo", "redo", "guess"].includes(path)) throw new Refusal(404, "Not found");
    const body = await bodyOf(request);
    const { journal } = this.#options;
    if (path === "guess") {
      const { face, landmarks } = this.#check(guessBody, body);
      return Response.json(await this.#guess(face, landmarks), { headers: GUARD });
    }
    if (path === "set") {
      const { face, revision, state } = this.#check(setBody, body);
      this.#checkState(state);
      journal.set(face, state, revision);
      return this.#changed(face);
    }
    const { face, revision } = this.#check(stepBody, body);
    journal.step(face, path === "undo" ? "undo" : "redo", revision);
    return this.#changed(face);
  }

  #changed(k: number): Response {
    const view = this.#options.journal.view(k);
    this.#send({ summary: this.#summary(k), ...view });
    return Response.json(view, { headers: GUARD });
  }

  #check<T extends { face: number }>(shape: z.ZodType<T>, body: unknown): T {
    const parsed = shape.safeParse(body);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new Refusal(400, `${issue?.path.join(".") || "the body"}: ${issue?.message}`);
    }
    if (parsed.data.face >= this.#options.journal.count) throw new Refusal(404, "There is no such face");
    return parsed.data;
  }

  #checkState({ landmarks, occluded, pinned }: Pick<FaceState, "landmarks" | "occluded" | "pinned">): void {
    const { count } = this.#options.source.schema;
    if (landmarks.length !== count) throw new Refusal(400, `landmarks: there are ${landmarks.length}, not ${count}`);
    for (const list of [occluded, pinned]) {
      if (list.some((p) => p >= count) || new Set(list).size !== list.length) {
        throw new Refusal(400, "occluded and pinned are landmarks by index, each once");
      }
    }
  }

  async #guess(k: number, landmarks: FaceState["landmarks"]): Promise<Guess> {
    const { guesser, reason, source } = this.#options;
    if (!guesser) throw new Refusal(422, reason ?? "there is no detector");
    this.#checkState({ landmarks, occluded: [], pinned: [] });
    return await guesser.guess(source.faces[k]!.path, Float32Array.from(landmarks.flat()));
  }

  /**
   * Gives the faces without doubt one: the distance between their landmarks and those that the detector finds, percent of the
   * diagonal of the landmarks' box. The page gets each as it comes.
   *
   * @param signal Ends it.
   */
  async findDoubts(signal: AbortSignal): Promise<void> {
    const { guesser, source: { faces } } = this.#options;
    for (const [k, { path, landmarks }] of faces.entries()) {
      if (!guesser || signal.aborted) return;
      if (this.#doubts[k] !== undefined) continue;
      try {
        const found = (await guesser.guess(path, landmarks)).landmarks;
        this.#doubts[k] = distanceDoubt(landmarks, found);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        continue; // the face has no place; its picture may be broken, which opening it will say
      }
      this.#send({ summary: this.#summary(k) });
    }
  }

  #send(event: object): void {
    const text = `data: ${JSON.stringify(event)}\n\n`;
    for (const listener of this.#listeners) listener(text);
  }

  /** Server-sent events: the faces that were changed, here or elsewhere. */
  #events(): Response {
    const encoder = new TextEncoder();
    let listener: (text: string) => void;
    let timer: ReturnType<typeof setInterval>;
    const listeners = this.#listeners;
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        listener = (text) => controller.enqueue(encoder.encode(text));
        listeners.add(listener);
        listener(": open\n\n");
        // Without traffic a connection that is gone would not be noticed.
        timer = setInterval(() => listener(": here\n\n"), 15_000);
      },
      cancel() {
        listeners.delete(listener);
        clearInterval(timer);
      },
    });
    return new Response(stream, { headers: { ...GUARD, "content-type": "text/event-stream" } });
  }
}

/**
 * The usual shape of a folder's faces: the mean of the upright faces and of their mirror images, from 0 to 1.
 *
 * @returns `[P][2]`.
 */
function meanShape(shapes: readonly (Landmarks | undefined)[], { count, mirror }: LandmarkSchema): [number, number][] {
  const sum = new Float32Array(2 * count);
  for (const shape of shapes.slice(0, MOST_SHAPES)) {
    for (let p = 0; shape && p < count; p++) {
      const [x, y] = pointAt(shape, p), q = mirror[p]!;
      sum[2 * p]! += x;
      sum[2 * p + 1]! += y;
      sum[2 * q]! -= x;
      sum[2 * q + 1]! += y;
    }
  }
  const { x, y, width, height } = boundingBox(sum), side = Math.max(width, height) || 1;
  return Array.from({ length: count }, (_, p) => [
    roundTo((sum[2 * p]! - x - width / 2) / side + 0.5, 4),
    roundTo((sum[2 * p + 1]! - y - height / 2) / side + 0.5, 4),
  ]);
}

const face = z.int().min(0), revision = z.int().min(0);
const coordinate = z.number().min(-MOST_PX).max(MOST_PX).transform((px) => roundTo(px, 3));
const landmarks = z.array(z.tuple([coordinate, coordinate])).max(10_000);
const indices = z.array(z.int().min(0)).max(10_000);
const state = z.strictObject({
  landmarks,
  occluded: indices,
  pinned: indices,
  verdict: z.enum(["accepted", "rejected"]).nullable(),
});
const setBody = z.strictObject({ face, revision, state });
const stepBody = z.strictObject({ face, revision });
const guessBody = z.strictObject({ face, landmarks });

const fileOf = (path: string) => decodeURIComponent(new URL(path, ROOT).pathname);

function text(message: string, status: number): Response {
  return new Response(message, { status, headers: { ...GUARD, "content-type": "text/plain; charset=utf-8" } });
}

function content(body: string | Uint8Array<ArrayBuffer>, type: string): Response {
  const charset = typeof body === "string" ? "; charset=utf-8" : "";
  return new Response(body, {
    headers: { ...GUARD, "content-type": type + charset, "content-security-policy": POLICY },
  });
}

/** Compares in a time that says nothing about the secret. */
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

/** The modules of the page by their paths, without types: a browser runs them as they are. */
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

/** Starts the server on any free port for 0. */
export function serveCorrections(
  server: CorrectServer,
  port: number,
  signal: AbortSignal,
): Deno.HttpServer<Deno.NetAddr> {
  const http: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: HOST, port, signal, onListen() {} },
    (request) => server.handle(request, http.addr.port),
  );
  return http;
}
