/**
 * Decoding, cropping and encoding of many images, in other threads where there are enough images to pay for those.
 *
 * @module
 */

import { workerCount, WorkerPool } from "../../engine/worker_pool.ts";
import { type Crop, cropFace, type CroppedFace } from "./crop.ts";
import type { Image } from "./image.ts";
import { encodePng, readImage } from "./image_file.ts";
import type { Landmarks } from "../landmarks.ts";
import type { LandmarkSchema } from "../schema.ts";

/** Request to a thread. */
export type PictureCall =
  | { readonly do: "decode"; readonly path: string }
  | {
    readonly do: "face";
    readonly path: string;
    readonly landmarks: Landmarks;
    readonly schema: LandmarkSchema;
    readonly how: Crop;
  }
  | { readonly do: "encode"; readonly image: Image };

/** Answers a call, in any thread. */
export async function answer(call: PictureCall): Promise<Image | Uint8Array> {
  switch (call.do) {
    case "decode":
      return await readImage(call.path);
    case "face":
      return cropFace(await readImage(call.path), call.landmarks, call.schema, call.how);
    case "encode":
      return encodePng(call.image);
  }
}

/** Fewer pixels than this are done in the time that a thread takes to start. */
const MANY_PIXELS = 1 << 22;

/** Number of threads that pay for a number of pixels. */
function threadsFor(pixels: number): number {
  return pixels < MANY_PIXELS ? 0 : workerCount();
}

/** Threads that decode, crop and encode images, or this one; the results are the same to the byte. */
export class PicturePool implements Disposable {
  readonly #pool: WorkerPool<PictureCall, Image | Uint8Array> | undefined;
  /** Calls that keep the threads busy. */
  readonly width: number;

  /**
   * Starts the threads.
   *
   * @param pixels Pixels of all images to come.
   * @param threads 0 for none but this one.
   */
  constructor(pixels: number, threads: number = threadsFor(pixels)) {
    this.width = Math.max(1, 2 * threads);
    if (threads > 0) this.#pool = new WorkerPool(new URL("./_pool_worker.ts", import.meta.url), null, threads);
  }

  /** As `readImage`. */
  async decode(path: string): Promise<Image> {
    return await this.#ask({ do: "decode", path }) as Image;
  }

  /** As `cropFace`, of a file. */
  async face(path: string, landmarks: Landmarks, schema: LandmarkSchema, how: Crop): Promise<CroppedFace> {
    return await this.#ask({ do: "face", path, landmarks, schema, how }) as CroppedFace;
  }

  /** As `encodePng`. */
  async encode({ width, height, data }: Image): Promise<Uint8Array> {
    return await this.#ask({ do: "encode", image: { width, height, data } }) as Uint8Array;
  }

  #ask(call: PictureCall): Promise<Image | Uint8Array> {
    return this.#pool ? this.#pool.call(call) : answer(call);
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    this.#pool?.[Symbol.dispose]();
  }
}

/**
 * Yields the results of calls in order, with several calls under way.
 *
 * @param count How many.
 * @param width How many at once.
 * @param start Begins one.
 */
export async function* inOrder<T>(
  count: number,
  width: number,
  start: (index: number) => Promise<T>,
): AsyncGenerator<T> {
  const going: Promise<T>[] = [];
  for (let index = 0; index < count; index++) {
    const result = start(index);
    result.catch(() => {}); // reported below, to the caller
    going.push(result);
    if (going.length >= width) yield await going.shift()!;
  }
  for (const result of going) yield await result;
}
