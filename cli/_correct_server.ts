/**
 * The server of `correct`: the page, the faces of one folder, and their changes.
 *
 * The server writes nothing but the journal, and serves the pictures of the folder by their numbers.
 *
 * @module
 */
import { z } from "zod";
import { readBytes } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { type Box as Square, createImage, cropSquare, type Image } from "../faces/data/image.ts";
import { decodeImage, encodeJpeg, readImage, readImageSize } from "../faces/data/image_file.ts";
import { readImageHeader } from "../faces/data/image_header.ts";
import { boundingBox, faceBox, type Landmarks } from "../faces/landmarks.ts";
import { nextFaces, uprightShape } from "../faces/next_faces.ts";
import { roundTo } from "../faces/statistics.ts";
import { isCorrected } from "../formats/corrections.ts";
import { overlap, SAME_FACE } from "../models/detectors/find_faces.ts";
import type { Adaptation } from "./_correct_adapt.ts";
import type { Comparison } from "./_correct_compare.ts";
import type { Guess, Guesser } from "./_correct_guesser.ts";
import type { FaceState, Journal } from "./_correct_journal.ts";
import { boxOf, meanShape, shapeIn, type SourcePicture } from "./_correct_pictures.ts";
import { distanceDoubt, spreadDoubt } from "./_correct_review.ts";
import type { FaceSource } from "./_correct_source.ts";
import { bodyAs, content, json, LocalServer, type PageFiles, Refusal } from "./_local_server.ts";
import type { ComparedFace, FaceDetails, FaceSummary, FolderFaces } from "./correct/api.ts";

/** Side of the small pictures in the list, and how many of them are kept. */
const THUMB_PX = 96, MOST_THUMBS = 2000;
/** Largest coordinate that a landmark may have, pixels. */
const MOST_PX = 1e6;
/** Smallest side of the box of a face that is added, pixels. */
const LEAST_BOX_PX = 4;

const PAGE: PageFiles = {
  html: "cli/correct/index.html",
  styles: {
    "theme.css": "formats/theme.css",
    "base.css": "cli/correct/base.css",
    "style.css": "cli/correct/style.css",
  },
  entry: "cli/correct/app.ts",
};

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
  /** Two detectors beside the landmarks. */
  readonly comparison?: Comparison | undefined;
  /** Fits a detector to the corrected faces; without it the page does not offer that. */
  readonly adaptation?: Adaptation | undefined;
  /** Loads a detector that was fitted, to guess with it. */
  readonly load?: ((dir: string) => Promise<Guesser>) | undefined;
  /** Covariance of the detector's errors, `[2P, 2P]`, by which landmarks follow others. */
  readonly errors?: Float32Array | undefined;
  /** The secret that paths begin with. */
  readonly token: string;
}

/** Answers requests, and leaves the network to its caller, so that tests need none. */
export class CorrectServer implements AsyncDisposable {
  readonly #options: CorrectOptions;
  readonly #doubts: (number | undefined)[];
  /** Faces whose doubt is to be found. */
  readonly #doubtful: Set<number>;
  #guesser: Guesser | undefined;
  #work: Promise<void> | undefined;
  #isClosed = false;
  readonly #listeners = new Set<(text: string) => void>();
  readonly #thumbs = new Map<string, Uint8Array<ArrayBuffer>>();
  #upright: readonly (Landmarks | undefined)[] | undefined;
  readonly #server: LocalServer;

  /** Takes the faces and their journal. */
  constructor(options: CorrectOptions) {
    this.#options = options;
    this.#doubts = options.source.faces.map(({ doubt }) => doubt);
    const { faces } = options.source;
    this.#doubtful = new Set(faces.keys().filter((k) => faces[k]!.doubt === undefined && !faces[k]!.added));
    this.#guesser = options.guesser;
    if (options.adaptation) options.adaptation.onChange = (adapt) => this.#send({ adapt });
    this.#server = new LocalServer({
      token: options.token,
      page: PAGE,
      read: (path) => this.#read(path),
      actions: {
        set: (body) => this.#set(body),
        undo: (body) => this.#step(body, "undo"),
        redo: (body) => this.#step(body, "redo"),
        guess: (body) => this.#guess(body),
        adapt: (body) => this.#adapt(body),
        add: (body) => this.#add(body),
        find: (body) => this.#find(body),
      },
    });
  }

  /** Answers a request, see {@linkcode LocalServer.handle}. */
  handle(request: Request, port: number): Promise<Response> {
    return this.#server.handle(request, port);
  }

  async #read(path: string): Promise<Response | undefined> {
    if (path === "faces") return json(this.#faces());
    if (path === "next") return json(this.#next());
    if (path === "adapt") return json(await this.#adaptation().state());
    if (path === "events") return this.#events();
    const [, kind = "", digits = ""] = /^(face|image|thumb|compare)\/(\d{1,9})$/.exec(path) ?? [];
    if (!kind) return undefined;
    const k = Number(digits);
    if (k >= this.#options.journal.count) throw new Refusal(404, "Not found");
    if (kind === "face") return json(await this.#details(k));
    if (kind === "compare") return json(await this.#compare(k));
    return kind === "image" ? await this.#image(k) : await this.#thumb(k);
  }

  #faces(): FolderFaces {
    const { source: { dir, kind, schema, pictures }, journal, reason, comparison, adaptation, errors } = this.#options;
    const { name, count, names, contours, dots, regions, mirror, normalisers } = schema;
    return {
      dir,
      kind,
      schema: { name, count, names: Object.fromEntries(names), contours, dots, regions, mirror, normalisers },
      shape: meanShape(this.#shapes(), schema),
      guesses: this.#guesser !== undefined,
      reason: reason ?? "",
      compare: comparison?.names ?? null,
      adapts: adaptation !== undefined,
      errors: errors ? Array.from(errors, (value) => roundTo(value, 4)) : null,
      adds: pictures.length > 0,
      faces: journal.faces.map((_, k) => this.#summary(k)),
    };
  }

  /** Shapes of the faces before any correction. */
  #shapes(): readonly (Landmarks | undefined)[] {
    const { faces, schema } = this.#options.source;
    return this.#upright ??= faces.map(({ landmarks, added }) => added ? undefined : uprightShape(landmarks, schema));
  }

  /** The faces in the order of what their correction would add. */
  #next(): number[] {
    const shapes = this.#shapes(), { journal, source: { schema } } = this.#options;
    return nextFaces(journal.faces.map(({ added }, k) => {
      const { verdict, changed, absent } = this.#summary(k), { landmarks } = journal.view(k).state;
      const shape = !added ? shapes[k] : absent ? undefined : uprightShape(Float32Array.from(landmarks.flat()), schema);
      return { shape, doubt: this.#doubts[k], done: verdict !== null || changed };
    }));
  }

  #summary(k: number): FaceSummary {
    const { journal } = this.#options, { file_name, face, style, group, score, added } = journal.faces[k]!;
    const { state, revision } = journal.view(k), absent = journal.isAbsent(k);
    const { landmarks, occluded: was_occluded } = journal.original(k), was = added ? [] : landmarks;
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
      compare: this.#options.comparison?.errors(k, state.landmarks) ?? null,
      changed: !absent && isCorrected({ file_name, face, was, was_occluded, ...state, verdict: undefined }),
      added: added === true,
      absent,
      box: boxOf(state.landmarks),
    };
  }

  async #details(k: number): Promise<FaceDetails> {
    const { journal } = this.#options, { path, uncertainty_px, review } = journal.faces[k]!;
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

  /** Findings of the two that are compared. */
  async #compare(k: number): Promise<ComparedFace> {
    const { comparison, journal } = this.#options;
    if (!comparison) throw new Refusal(404, "Nothing is compared");
    const found = await comparison.find(k, journal.faces[k]!);
    return { found, summary: this.#summary(k) };
  }

  async #image(k: number): Promise<Response> {
    const { path } = this.#options.journal.faces[k]!;
    const bytes = await readBytes(path);
    const { format, orientation, cmyk } = readImageHeader(bytes, path);
    const shown = ["png", "jpeg", "webp", "gif", "bmp"].includes(format) && orientation === 1 && cmyk === undefined;
    if (shown) return content(bytes, `image/${format}`);
    return content(encodeJpeg(decodeImage(bytes, { name: path }), 95), "image/jpeg");
  }

  async #thumb(k: number): Promise<Response> {
    const { journal } = this.#options, { path, landmarks, added } = journal.faces[k]!;
    // A face that was added may be another one after an undo.
    const key = added ? `${k}@${journal.view(k).revision}` : String(k), kept = this.#thumbs.get(key);
    if (kept) return content(kept, "image/jpeg");
    const image = await readImage(path);
    const points = added ? Float32Array.from(journal.view(k).state.landmarks.flat()) : landmarks;
    const box = journal.isAbsent(k) ? wholeOf(image) : faceBox(points);
    const small = box.side >= 1 ? cropSquare(image, box, THUMB_PX) : createImage(THUMB_PX, THUMB_PX);
    const bytes = encodeJpeg(small, 80);
    if (this.#thumbs.size >= MOST_THUMBS) this.#thumbs.clear();
    this.#thumbs.set(key, bytes);
    return content(bytes, "image/jpeg");
  }

  #set(body: unknown): Response {
    const { face, revision, state } = this.#check(setBody, body);
    this.#checkState(state);
    this.#options.journal.set(face, state, revision);
    return this.#changed(face);
  }

  #step(body: unknown, direction: "undo" | "redo"): Response {
    const { face, revision } = this.#check(stepBody, body);
    this.#options.journal.step(face, direction, revision);
    return this.#changed(face);
  }

  #changed(k: number): Response {
    const view = this.#options.journal.view(k);
    this.#send({ summary: this.#summary(k), ...view });
    return json(view);
  }

  #check<T extends { face: number }>(shape: z.ZodType<T>, body: unknown): T {
    const parsed = bodyAs(shape, body);
    if (parsed.face >= this.#options.journal.count) throw new Refusal(404, "There is no such face");
    return parsed;
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

  async #guess(body: unknown): Promise<Response> {
    const { face, landmarks } = this.#check(guessBody, body);
    const { reason, journal } = this.#options, guesser = this.#guesser;
    if (!guesser) throw new Refusal(422, reason ?? "there is no detector");
    this.#checkState({ landmarks, occluded: [], pinned: [] });
    const guess: Guess = await guesser.guess(journal.faces[face]!.path, Float32Array.from(landmarks.flat()));
    return json(guess);
  }

  /** Adds a face to a picture: the detector's landmarks for its box, or without one the mean shape in it. */
  async #add(body: unknown): Promise<Response> {
    const { file_name, box } = bodyAs(addBody, body), { source: { schema }, reason } = this.#options;
    const picture = this.#picture(file_name);
    const guess = await this.#guesser?.guessIn(picture.path, box);
    const landmarks = guess ? guess.landmarks : shapeIn(meanShape(this.#shapes(), schema), box);
    if (!landmarks) {
      throw new Refusal(422, `There are no landmarks for the box: the folder has no face, and no detector (${reason})`);
    }
    return json(this.#addFace(picture, landmarks, guess));
  }

  /** Adds the faces that are found in a picture, except those that it has already, rejected ones included. */
  async #find(body: unknown): Promise<Response> {
    const { file_name } = bodyAs(findBody, body),
      picture = this.#picture(file_name),
      { journal, reason } = this.#options;
    if (!this.#guesser) throw new Refusal(422, reason ?? "there is no detector");
    const found = await this.#guesser.find(picture.path);
    const boxes = [...journal.faces.keys()]
      .filter((k) => journal.faces[k]!.file_name === file_name && !journal.isAbsent(k))
      .map((k) => boundingBox(journal.view(k).state.landmarks.flat()));
    const added: FaceSummary[] = [];
    for (const guess of found) {
      const box = boundingBox(guess.landmarks.flat());
      if (boxes.some((one) => overlap(one, box) >= SAME_FACE)) continue;
      boxes.push(box);
      added.push(this.#addFace(picture, guess.landmarks, guess));
    }
    return json(added);
  }

  #picture(file_name: string): SourcePicture {
    const picture = this.#options.source.pictures.find((one) => one.file_name === file_name);
    if (!picture) throw new Refusal(404, "There is no such picture");
    return picture;
  }

  #addFace(picture: SourcePicture, landmarks: FaceState["landmarks"], guess: Guess | undefined): FaceSummary {
    const k = this.#options.journal.add(picture, landmarks);
    this.#doubts[k] = guess && spreadDoubt(guess.uncertainty_px, Float32Array.from(landmarks.flat()));
    this.#changed(k);
    return this.#summary(k);
  }

  #adaptation(): Adaptation {
    const { adaptation } = this.#options;
    if (!adaptation) throw new Refusal(404, "Nothing is adapted here");
    return adaptation;
  }

  /** Starts or stops the fit of a detector, or guesses with the one that was fitted. */
  async #adapt(body: unknown): Promise<Response> {
    const adaptation = this.#adaptation(), { act } = bodyAs(adaptBody, body);
    if (act === "start") await adaptation.start();
    else if (act === "cancel") await adaptation.cancel();
    else await this.#guessBy((await adaptation.state()).weights);
    return json(await adaptation.state());
  }

  /** Guesses with another detector, and finds the doubts again of the faces that are neither judged nor corrected. */
  async #guessBy(dir: string): Promise<void> {
    const before = this.#guesser;
    if (!before || !this.#options.load) throw new Refusal(422, this.#options.reason ?? "there is no detector");
    this.#guesser = await this.#options.load(dir);
    await before[Symbol.asyncDispose]();
    for (const { index, verdict, changed, added } of this.#faces().faces) {
      if (!verdict && !changed && !added) this.#doubtful.add(index);
    }
    void this.fillList();
  }

  /**
   * Works on the list while the page is open: {@linkcode Comparison.find} for each face, or else the doubts of those that have
   * none. The page gets each line as it comes.
   */
  fillList(): Promise<void> {
    return this.#work ??= this.#fillList().finally(() => this.#work = undefined);
  }

  async #fillList(): Promise<void> {
    const { comparison, source: { faces } } = this.#options;
    if (!comparison) return await this.#findDoubts();
    for (const [k, face] of faces.entries()) {
      if (this.#isClosed) return;
      if (face.added) continue;
      await comparison.find(k, face);
      this.#send({ summary: this.#summary(k) });
    }
  }

  /** Gives faces a doubt: the distance between their landmarks and those that the detector finds, see {@linkcode distanceDoubt}. */
  async #findDoubts(): Promise<void> {
    const { source: { faces } } = this.#options;
    for (const k of this.#doubtful) {
      if (!this.#guesser || this.#isClosed) return;
      this.#doubtful.delete(k);
      const { path, landmarks } = faces[k]!;
      try {
        const found = (await this.#guesser.guess(path, landmarks)).landmarks;
        this.#doubts[k] = distanceDoubt(landmarks, found);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        continue; // the face has no place; its picture may be broken, which opening it will say
      }
      this.#send({ summary: this.#summary(k) });
    }
  }

  /** Ends the work on the list, and frees the detector. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#work;
    await this.#guesser?.[Symbol.asyncDispose]();
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
    return content(stream, "text/event-stream");
  }
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
const side = z.number().min(LEAST_BOX_PX).max(MOST_PX);
const addBody = z.strictObject({ file_name: z.string(), box: z.tuple([coordinate, coordinate, side, side]) });
const findBody = z.strictObject({ file_name: z.string() });
const adaptBody = z.strictObject({ act: z.enum(["start", "cancel", "use"]) });

/** The smallest square around a picture. */
function wholeOf({ width, height }: Image): Square {
  const side = Math.max(width, height);
  return { x: (width - side) / 2, y: (height - side) / 2, side };
}
