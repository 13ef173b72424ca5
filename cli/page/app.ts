/// <reference lib="dom" />
/**
 * The browser page: pictures in, faces with landmarks out, by the browser's own WebGPU.
 *
 * @module
 */
import { counted } from "../../formats/numbers.ts";
import { type Device, NoAdapterError, openDevice } from "../../engine/device.ts";
import type { Image } from "../../faces/data/image.ts";
import { formatPts } from "../../faces/pts.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { Detector, detectorSpecs } from "../../models/detectors/detector.ts";
import { type PictureRow, rowOf } from "../../models/detectors/face_rows.ts";
import { type Face, findFaces } from "../../models/detectors/find_faces.ts";
import { Finder } from "../../models/finder/finder.ts";
import { finderSpecs } from "../../models/finder/network.ts";
import { fingerprint } from "../../models/io/fingerprint.ts";
import { createParameters } from "../../models/io/params.ts";
import { GLOBAL, type PackedWeights, unpack } from "./weights.ts";

/** Most pixels of a picture; larger ones are made smaller first. */
const MOST_PIXELS = 1 << 25;

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const status = element<HTMLParagraphElement>("status");
const pictures = element("pictures");
const score = element<HTMLInputElement>("score");
const save = element<HTMLButtonElement>("save");
const inputs = [element<HTMLInputElement>("files"), element<HTMLInputElement>("camera")];

/** Shows what the page is doing. */
function say(text: string, failed = false): void {
  status.textContent = text;
  status.classList.toggle("failed", failed);
}

/** A picture on the page. */
interface Shown {
  readonly row: PictureRow;
  readonly faces: readonly Face[];
}

const shown: Shown[] = [];

/** Both networks on the GPU. */
class FaceReader {
  private constructor(
    private readonly device: Device,
    private readonly finder: Finder,
    private readonly detector: Detector,
  ) {}

  /** Opens the GPU and the networks of the page. */
  static async open(): Promise<FaceReader> {
    const { finder, detector } = (globalThis as unknown as Record<string, PackedWeights>)[GLOBAL] ?? missing();
    const device = await openDevice();
    const own = { own: true }, tensors = unpack(detector);
    return new FaceReader(
      device,
      new Finder(device, finder.config, createParameters(device, finderSpecs(finder.config), unpack(finder)), own),
      new Detector(
        device,
        detector.config,
        createParameters(device, detectorSpecs(detector.config), tensors),
        { ...own, fingerprint: fingerprint(tensors) },
      ),
    );
  }

  /** The landmarks' schema. */
  get schema(): LandmarkSchema {
    return this.detector.schema;
  }

  /** Name of the GPU, as far as the browser gives it. */
  get name(): string {
    const { description, vendor, architecture } = this.device.gpu.adapterInfo;
    return description || [vendor, architecture].filter(Boolean).join(" ") || "WebGPU";
  }

  /** Finds the faces of a picture. */
  async read(image: Image, min_score: number): Promise<Face[]> {
    const faces = await findFaces(this.finder, this.detector, image, { min_score, flip: true });
    this.device.check();
    return faces;
  }
}

function missing(): never {
  throw new Error("Cannot find the weights: weights.js must lie beside the page");
}

/** Decodes a picture, upright, over white. */
async function decode(blob: Blob): Promise<Image> {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width!, height!);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = "white";
  context.fillRect(0, 0, width!, height!);
  context.drawImage(bitmap, 0, 0, width!, height!);
  bitmap.close();
  const { data: rgba } = context.getImageData(0, 0, width!, height!);
  const data = new Uint8Array(width! * height! * 3);
  for (let from = 0, to = 0; from < rgba.length; from++) if (from % 4 !== 3) data[to++] = rgba[from]!;
  return { width: width!, height: height!, data };
}

/** Draws a picture with its faces. */
function draw(
  canvas: HTMLCanvasElement,
  { width, height, data }: Image,
  faces: readonly Face[],
  schema: LandmarkSchema,
) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d")!;
  const rgba = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from++) {
    rgba.data[to++] = data[from]!;
    if (to % 4 === 3) rgba.data[to++] = 255;
  }
  context.putImageData(rgba, 0, 0);
  const rgb = (colour: readonly number[]) => `rgb(${colour.join(" ")})`;
  for (const { landmarks, box } of faces) {
    const unit = Math.max(box.width, box.height) / 120;
    const at = (index: number): [number, number] => [landmarks[2 * index]! + 0.5, landmarks[2 * index + 1]! + 0.5];
    for (const { points, closed, colour } of schema.contours) {
      const path = new Path2D();
      points.forEach((index, k) => k ? path.lineTo(...at(index)) : path.moveTo(...at(index)));
      if (closed) path.closePath();
      context.lineJoin = context.lineCap = "round";
      // A dark edge keeps the line visible over any picture.
      for (const [style, times] of [["rgb(0 0 0 / 60%)", 3], [rgb(colour), 1.5]] as const) {
        context.strokeStyle = style;
        context.lineWidth = Math.max(0.75, times * unit);
        context.stroke(path);
      }
    }
    context.fillStyle = "white";
    for (let index = 0; index < landmarks.length / 2; index++) {
      context.beginPath();
      context.arc(...at(index), Math.max(0.75, 1.2 * unit), 0, 2 * Math.PI);
      context.fill();
    }
  }
}

/** Gives a file to the user. */
function download(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const stem = (name: string) => name.replace(/\.[^.]*$/, "");
const json = (row: PictureRow) => new Blob([JSON.stringify(row)], { type: "application/json" });

function button(text: string, act: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.onclick = act;
  return made;
}

function paragraph(text: string, kind: string): HTMLParagraphElement {
  const made = document.createElement("p");
  made.className = kind;
  made.textContent = text;
  return made;
}

/** The part of the page about a picture. */
function articleOf(name: string): HTMLElement {
  const article = document.createElement("article");
  article.className = "picture";
  const title = document.createElement("h2");
  title.textContent = name;
  article.append(title);
  pictures.prepend(article);
  return article;
}

/** Reads a picture and shows its faces. */
async function show(reader: FaceReader, file: Blob, name: string): Promise<void> {
  const article = articleOf(name);
  let image: Image;
  try {
    image = await decode(file);
  } catch {
    article.append(paragraph("This browser cannot decode the file as a picture.", "failed"));
    return;
  }
  const faces = await reader.read(image, Number(score.value));
  const row = rowOf(name, image, faces), count = counted(faces.length, "face");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name} with the landmarks of ${count}`);
  draw(canvas, image, faces, reader.schema);
  const scores = faces.map(({ score }) => (score ?? 1).toFixed(2)).join(", ");
  const choices = document.createElement("div");
  choices.className = "choices";
  const savePicture = () => canvas.toBlob((blob) => blob && download(`${stem(name)}_faces.png`, blob));
  choices.append(button("Save JSON", () => download(`${stem(name)}.json`, json(row))));
  for (const [k, { landmarks }] of faces.entries()) {
    const suffix = k === 0 ? "" : `_face${k + 1}`;
    const text = faces.length === 1 ? "Save .pts" : `Save .pts of face ${k + 1}`;
    choices.append(button(text, () => download(`${stem(name)}${suffix}.pts`, new Blob([formatPts(landmarks)]))));
  }
  choices.append(button("Save picture", savePicture));
  const facts = faces.length ? `${count}, scores ${scores}` : "no face";
  article.append(paragraph(`${image.width} x ${image.height} pixels: ${facts}`, "facts"), canvas, choices);
  shown.push({ row, faces });
  save.disabled = false;
}

/** Reads pictures one after the other. */
function queueOf(reader: FaceReader): (files: readonly File[]) => void {
  let last = Promise.resolve();
  return (files) => {
    for (const [k, file] of files.entries()) {
      last = last.then(async () => {
        say(`Looking at ${file.name || "the picture"} (${k + 1} of ${files.length})`);
        await show(reader, file, file.name || "pasted.png");
        say(ready(reader));
      }).catch((error) => say(`The GPU could not do it: ${(error as Error).message}`, true));
    }
  };
}

const ready = ({ name }: FaceReader) => `Ready. Computes on ${name}.`;

/** Starts the page. */
async function start(): Promise<void> {
  say("Preparing the networks");
  let reader: FaceReader;
  try {
    reader = await FaceReader.open();
  } catch (error) {
    say(
      error instanceof NoAdapterError || !navigator.gpu
        ? "This browser has no WebGPU, which the page needs. Current versions of Chrome, Edge, Safari and Firefox have it; " +
          "on some systems it must be switched on in their settings."
        : (error as Error).message,
      true,
    );
    return;
  }
  const open = queueOf(reader);
  for (const input of inputs) {
    input.disabled = false;
    input.onchange = () => {
      open([...input.files ?? []]);
      input.value = ""; // the same file may be chosen again
    };
  }
  score.oninput = () => {
    score.parentElement!.querySelector("output")!.textContent = Number(score.value).toFixed(2);
  };
  save.onclick = () =>
    download(
      "faces.jsonl",
      new Blob(shown.map(({ row }) => `${JSON.stringify(row)}\n`), { type: "application/jsonl" }),
    );
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    open([...event.dataTransfer?.files ?? []]);
  });
  addEventListener("paste", (event) => open([...event.clipboardData?.files ?? []]));
  say(ready(reader));
}

start().catch((error) => say(String(error), true));
