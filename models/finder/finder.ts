/**
 * Face finders: a folder with `config.json` and `model.safetensors`, and what finds the faces of a picture with it.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import type { Device } from "../../engine/device.ts";
import { Executable } from "../../engine/executable.ts";
import { Graph } from "../../engine/graph.ts";
import type { Parameters } from "../../engine/prepare.ts";
import { disposing, type Tensor } from "../../engine/tensor.ts";
import { enlarge, type Image, resizeArea, turnQuarter } from "../../faces/data/image.ts";
import { rescale } from "../../faces/landmarks.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { loadNetwork, loadNetworkConfig, saveNetwork } from "../io/network_folder.ts";
import { createParameters, type HostTensors } from "../io/params.ts";
import { type NetworkFace, readCells, SAME, suppress, WITHIN } from "./decode.ts";
import { onnxModel } from "../io/onnx.ts";
import { copyOf, facesInCells, keptOf } from "../io/onnx_pictures.ts";
import {
  CELL_PX,
  type FinderConfig,
  finderFormat,
  finderNetwork,
  finderSpecs,
  REFERENCE_PX,
  SIDE_STEP_PX,
} from "./network.ts";

/** A face found in a picture. */
export interface FoundFace {
  /**
   * Centre of the tight box of the face's 68 landmarks, as that box is when the face is turned upright; pixels of the
   * picture, 0 is the centre of the first one.
   */
  x: number;
  /** See `x`. */
  y: number;
  /** Longer side of that box, pixels of the picture. */
  side: number;
  /** Angle of the face in the picture, radians from -pi to pi: 0 is upright, above 0 is turned clockwise. */
  angle: number;
  /** Sureness of the angle: about 1 where the network is sure, 0 where any angle is as likely to it. */
  angle_sure: number;
  /** Probability that it is a face, on pictures like those of the calibration: of scores of 0.8 four in five are right. */
  score: number;
}

/** Options of {@linkcode Finder.find}. */
export interface FindOptions {
  /** Least score; by default 0.4, as a face that is missed takes a person longer than one too many. */
  min_score?: number;
  /** Most faces, those of the greatest scores; by default all. */
  max_faces?: number;
  /**
   * Side of the smallest face to find, pixels of the picture; by default what a picture of about 640 x 480 pixels shows
   * at 16 pixels. Smaller faces take more time, and none that is below 1/80 of the picture's longer side is found.
   */
  min_size_px?: number;
  /**
   * Turns in which the picture is searched, by default 1: 2 also upside down, 4 by every quarter. Faces that are far from
   * upright are found more often for it, and each turn takes as long as the first.
   */
  turns?: 1 | 2 | 4;
}

/** Default of {@linkcode FindOptions.min_score}. */
export const MIN_SCORE = 0.4;
/** Pixels of the copy of a picture that is searched by default. */
const DEFAULT_PIXELS = 640 * 480;
/** Its longer side, at least and at most; and the most for small faces. */
const DEFAULT_SIDES = [640, 1280] as const, LONGEST_SIDE_PX = 1280;
/** Longer side that smaller pictures are enlarged to, and the most that any is. */
const SMALL_PX = 256, LARGEST_SCALE = 2;
/** Sides of faces that the network finds, pixels of its pictures. */
const LEAST_FACE_PX = 16, FACES_PX = [11, 144] as const;
/** The longer side of the smallest copy of a picture is at most this: a face that fills it is in reach of the network. */
const SMALLEST_COPY_PX = 160;
/** Sides of the network's pictures are rounded up to multiples of this, so that pictures share plans. */
const PLAN_STEP_PX = 2 * SIDE_STEP_PX;
/** Least score of the faces that an ONNX model gives without a calibration with a detector. */
const LEAST_ONNX_SCORE = 0.1;
/** Plans that are kept. */
const MOST_PLANS = 12;

/**
 * Sizes of the copies of a picture that are searched, from the largest; each is half as large as the one before, and the
 * longer side of the last is at most 160 pixels.
 *
 * The largest has about 640 x 480 pixels and a longer side from 640 to 1,280, so that long pictures keep their details,
 * and those of a smaller picture where it has fewer; with `min_size_px`, as many as show a face of that side at 16 pixels,
 * and a longer side of at most 1,280. Pictures are enlarged at most twice, by default only to a longer side of 256.
 */
export function searchSizes(
  { width, height }: Pick<Image, "width" | "height">,
  min_size_px?: number,
): { readonly width: number; readonly height: number }[] {
  const longer = Math.max(width, height);
  const area = Math.sqrt(DEFAULT_PIXELS / (width * height));
  const full = Math.max(DEFAULT_SIDES[0] / longer, Math.min(DEFAULT_SIDES[1] / longer, area));
  const standard = Math.min(full, Math.max(1, SMALL_PX / longer));
  const wanted = min_size_px === undefined ? standard : Math.min(LONGEST_SIDE_PX / longer, LEAST_FACE_PX / min_size_px);
  const sizes: { width: number; height: number }[] = [];
  const size = (length: number, scale: number) => Math.max(1, Math.round(length * scale));
  for (let scale = Math.min(LARGEST_SCALE, wanted);; scale /= 2) {
    sizes.push({ width: size(width, scale), height: size(height, scale) });
    if (longer * scale <= SMALLEST_COPY_PX) return sizes;
  }
}

/** A network planned for pictures of a size. */
interface Planned {
  readonly executable: Executable;
  readonly width: number;
  readonly height: number;
}

/**
 * Finds the faces of pictures, of any size, number and angle.
 *
 * A picture is searched in copies of several sizes, see {@linkcode searchSizes}; of faces found at one place, the one that
 * the network is surest of stays.
 */
export class Finder implements Disposable {
  /** The network. */
  readonly config: FinderConfig;
  readonly #device: Device;
  readonly #parameters: Parameters;
  /** By size, the one used last at the end. */
  readonly #plans = new Map<string, Planned>();
  /** The parameters, if they are its own. */
  readonly #owned: DisposableStack;

  /**
   * Takes a network.
   *
   * @param parameters The network's, by name below `finder/`.
   * @param options `own` parameters are freed with the finder.
   */
  constructor(device: Device, config: FinderConfig, parameters: Parameters, { own = false }: { own?: boolean } = {}) {
    this.config = config;
    this.#device = device;
    this.#parameters = parameters;
    using owned = disposing(own ? parameters.values() : []);
    this.#owned = owned.move();
  }

  /**
   * Finds the faces of a picture.
   *
   * @returns From the greatest score to the least.
   * @throws {InputError} If an option is out of range.
   */
  async find(image: Image, options: FindOptions = {}): Promise<FoundFace[]> {
    checkFindOptions(options);
    const { min_score = MIN_SCORE, max_faces = Infinity } = options;
    const { slope, shift } = this.config.calibration;
    const score = (logit: number) => 1 / (1 + Math.exp(-(slope * logit + shift)));
    const least = (Math.log(min_score / (1 - min_score)) - shift) / slope;
    const candidates = await this.candidates(image, least, options);
    return candidates.slice(0, max_faces)
      .map(({ logit, ...face }) => ({ ...face, score: score(logit) }));
  }

  /**
   * Finds what may be faces, with the network's logits, for calibration.
   *
   * @param least Smallest logit.
   * @returns From the greatest logit to the least.
   */
  async candidates(
    image: Image,
    least: number,
    options: Omit<FindOptions, "min_score"> = {},
  ): Promise<NetworkFace[]> {
    const { min_size_px, turns = 1 } = options;
    const all: NetworkFace[] = [];
    let turned = image;
    for (let quarters = 0; quarters < 4; quarters++) {
      if (quarters > 0) turned = turnQuarter(turned);
      if (quarters % (4 / turns) !== 0) continue;
      for (const face of await this.#searchCopies(turned, least, min_size_px)) {
        all.push(turnedBack(face, quarters, turned));
      }
    }
    return suppress(all);
  }

  /** Candidates in a picture as it stands. */
  async #searchCopies(image: Image, least: number, min_size_px: number | undefined): Promise<NetworkFace[]> {
    const sizes = searchSizes(image, min_size_px);
    const all: NetworkFace[] = [];
    let small = image;
    for (const [k, size] of sizes.entries()) {
      const [first, last] = [k === 0, k === sizes.length - 1];
      small = size.width > image.width ? enlarge(image, size.width, size.height) : shrunk(small, size);
      const across = image.width / size.width, down = image.height / size.height;
      for (const { x, y, side, ...found } of await this.#search(small, least)) {
        // Every size of face is found best on one of the copies; those at the ends have no better one.
        if ((side < FACES_PX[0] && !first) || (side > FACES_PX[1] && !last)) continue;
        const face = {
          x: rescale(x, across),
          y: rescale(y, down),
          side: side * Math.sqrt(across * down),
          ...found,
        };
        const outside = face.x < -0.5 || face.y < -0.5 || face.x > image.width - 0.5 || face.y > image.height - 0.5;
        if (!outside && face.side >= (min_size_px ?? 0)) all.push(face);
      }
    }
    return all;
  }

  /** Candidates in one copy, in its pixels. */
  async #search(image: Image, least: number): Promise<NetworkFace[]> {
    const { executable, width, height } = this.#planFor(image);
    // Grey beyond the picture.
    const images = new Float32Array(width * height * 3);
    for (let row = 0; row < image.height; row++) {
      const from = row * image.width * 3;
      for (let k = 0; k < image.width * 3; k++) images[row * width * 3 + k] = image.data[from + k]! / 127.5 - 1;
    }
    executable.run({ images });
    return readCells(await executable.read("cells"), width / CELL_PX, least);
  }

  /** The plan for a picture, kept for the next ones of its size. */
  #planFor({ width: columns, height: rows }: Image): Planned {
    const up = (px: number) => Math.ceil(px / PLAN_STEP_PX) * PLAN_STEP_PX;
    const [width, height] = [up(columns), up(rows)];
    const key = `${width}x${height}`;
    let planned = this.#plans.get(key);
    this.#plans.delete(key);
    if (!planned) {
      const [oldest] = this.#plans.keys();
      if (oldest !== undefined && this.#plans.size >= MOST_PLANS) {
        this.#plans.get(oldest)?.executable.destroy();
        this.#plans.delete(oldest);
      }
      const { cells } = finderNetwork(new Graph(), this.config, [1, height, width]);
      planned = { executable: new Executable(this.#device, { outputs: { cells } }, this.#parameters), width, height };
    }
    this.#plans.set(key, planned);
    return planned;
  }

  /** Frees the plans, and the parameters if they are its own. */
  [Symbol.dispose](): void {
    for (const { executable } of this.#plans.values()) executable.destroy();
    this.#plans.clear();
    this.#owned.dispose();
  }
}

/** A face of a picture that was turned clockwise, in the picture before. */
function turnedBack(face: NetworkFace, quarters: number, turned: Image): NetworkFace {
  let { x, y, angle } = face;
  let { width, height } = turned;
  for (let k = 0; k < quarters; k++) {
    // The turned picture is as wide as the one before is high.
    [x, y] = [y, width - 1 - x];
    [width, height] = [height, width];
    angle -= Math.PI / 2;
  }
  return { ...face, x, y, angle: Math.atan2(Math.sin(angle), Math.cos(angle)) };
}

/** A copy by area averages. */
function shrunk(image: Image, { width, height }: { readonly width: number; readonly height: number }): Image {
  return image.width === width && image.height === height ? image : resizeArea(image, width, height);
}

/**
 * Checks the options of a search.
 *
 * @throws {InputError} If one is out of range.
 */
export function checkFindOptions({ min_score, max_faces, min_size_px, turns = 1 }: FindOptions): void {
  if (min_score !== undefined) checkRange("min_score", min_score, 0, 1);
  if (max_faces !== undefined) checkRange("max_faces", max_faces, 1, Infinity);
  if (![1, 2, 4].includes(turns)) throw new InputError(`Cannot find faces with turns ${turns}: it must be 1, 2 or 4`);
  if (min_size_px !== undefined) checkRange("min_size_px", min_size_px, 1, Infinity);
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  const range = most === Infinity ? `${least} or more` : `from ${least} to ${most}`;
  throw new InputError(`Cannot find faces with ${name} ${value}: it must be ${range}`);
}

/**
 * Reads a finder's folder, `config.json` and `model.safetensors`, into memory.
 *
 * @returns The network and its parameters' values, in the layout of the graph.
 * @throws {InputError} If a file is missing or is not what it should be.
 */
export async function readFinder(dir: string): Promise<{ config: FinderConfig; tensors: HostTensors }> {
  const config = await loadNetworkConfig(dir, finderFormat);
  return { config, tensors: await loadNetwork(dir, finderSpecs(config)) };
}

/**
 * Loads a finder onto a device.
 *
 * @param dir Its folder; `models/faces/finder` is the one that is shipped.
 * @throws {InputError} As {@linkcode readFinder}.
 */
export async function loadFinder(device: Device, dir: string): Promise<Finder> {
  const { config, tensors } = await readFinder(dir);
  return new Finder(device, config, createParameters(device, finderSpecs(config), tensors), { own: true });
}

/**
 * Writes a finder's folder.
 *
 * @param parameters The network's, on the device or in memory.
 * @param options Element type of the weights; by default F32.
 */
export async function saveFinder(
  dir: string,
  config: FinderConfig,
  parameters: ReadonlyMap<string, Tensor | TensorData>,
  options: { dtype?: "F32" | "F16" } = {},
): Promise<void> {
  await saveNetwork(dir, finderFormat, config, finderSpecs(config), parameters, options);
}

/**
 * Writes a finder as an ONNX model, which searches one copy of a picture.
 *
 * Its inputs are `picture`, `[h, w, 3]`, RGB from 0 to 255 as floats, which is the picture itself or a larger copy; `whole`, `[2]`, rows
 * and columns of the picture itself, `size`, `[2]`, those of the copy to search, `sides`, `[2]`, sides of the smallest and the
 * largest face in pixels of that copy, and `before`, `[M, 5]`, faces found in other copies. Its outputs are `copy`, from which the next smaller one is
 * made, `found`, `[N, 5]`, the faces before and those of the copy: score, x, y, side and angle in pixels of the picture; and
 * `faces`, `[K, 5]`, one of those at each place, see `suppress()`; and `pair`, `[2 + n]`, the slope, the shift and the
 * other factors of `pairScore()`; none where the finder has no calibration with a detector, which leaves the score as it is.
 *
 * @returns The file.
 */
export function finderOnnx(config: FinderConfig, tensors: HostTensors): Uint8Array<ArrayBuffer> {
  const { calibration, with_detector } = config, least_score = with_detector?.least_score ?? LEAST_ONNX_SCORE;
  const pair = with_detector
    ? [with_detector.slope, with_detector.shift, with_detector.doubt, ...with_detector.features ?? []]
    : [1, 0];
  const { cells } = finderNetwork(new Graph(), config, [1, SIDE_STEP_PX, SIDE_STEP_PX]);
  return onnxModel({ cells }, tensors, {
    name: "finder",
    doc:
      "Faces of a copy of a picture. picture: [h, w, 3], RGB from 0 to 255, itself or a larger copy. whole, size: rows and " +
      "columns of the picture itself and of the copy. sides: smallest and largest face, pixels of the copy. before: faces of " +
      `other copies. found: all so far, score (from ${least_score}), x, y, side, angle (radians, clockwise), pixels of the ` +
      "picture itself. faces: the surest at each place. pair: for the logit by finder and detector the factor of a face's logit, " +
      "what is added, and the factors of the detector's evidence.",
    around: {
      inputs: { picture: ["h", "w", 3], whole: [2], size: [2], sides: [2], before: ["M", 5] },
      outputs: { copy: ["rows", "columns", 3], found: ["N", 5], faces: ["K", 5], pair: [pair.length] },
      write: (w, graph) => {
        const { copy, images } = copyOf(w, "picture", "size", PLAN_STEP_PX), { cells = "" } = graph({ images });
        const reading = { cell_px: CELL_PX, reference_px: REFERENCE_PX, ...calibration, least_score };
        const here = facesInCells(w, cells, ["size", "whole", "sides"], reading);
        const found = w.emit("Concat", ["before", here], { axis: 0 });
        return {
          copy,
          found,
          faces: keptOf(w, found, { same: SAME, within: WITHIN }),
          pair: w.floats(pair, [pair.length]),
        };
      },
    },
  });
}
