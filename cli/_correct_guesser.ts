/**
 * A detector's guesses of the landmarks of single faces.
 *
 * @module
 */
import type { Image } from "../faces/data/image.ts";
import { readImage } from "../faces/data/image_file.ts";
import { pointsOf } from "../faces/data/corrections.ts";
import { interocular } from "../faces/landmarks.ts";
import { type FacePlace, facePlace } from "../faces/place.ts";
import { convertLandmarks, type LandmarkSchema } from "../faces/schema.ts";
import { roundTo } from "../faces/statistics.ts";
import { InputError } from "../formats/input_error.ts";
import type { Detector } from "../models/detectors/detector.ts";
import { findFacesOfEach } from "../models/detectors/find_faces.ts";

/** Landmarks that a detector finds. */
export interface Guess {
  /** `[P][2]`, pixels of the image. */
  readonly landmarks: readonly (readonly [number, number])[];
  /** `[P]`, pixels; of a landmark that is the mean of several of the detector's, that of the first. */
  readonly uncertainty_px: readonly number[];
}

/** Guesses landmarks, one face after the other; frees its detector in the end. */
export class Guesser implements AsyncDisposable {
  #last: Promise<unknown> = Promise.resolve();
  /** The picture that was read last: the faces of a person's work follow each other. */
  #picture: { readonly path: string; readonly image: Image } | undefined;

  /**
   * Takes a detector.
   *
   * @param schema Schema of the guesses.
   * @throws {InputError} If the detector's landmarks do not contain it.
   */
  constructor(private readonly detector: Detector, private readonly schema: LandmarkSchema) {
    convertLandmarks(new Float32Array(0), detector.schema, schema);
  }

  /**
   * Guesses the landmarks of a face.
   *
   * @param path Its picture.
   * @param landmarks `[P, 2]`: where the face is.
   * @throws {InputError} If the picture cannot be read, or the landmarks are all at one place.
   */
  async guess(path: string, landmarks: Float32Array): Promise<Guess> {
    if (!(interocular(landmarks, this.schema) >= 2)) {
      throw new InputError("Cannot guess the landmarks of a face whose eyes are at one place");
    }
    return await this.#inTurn(path, facePlace(landmarks, this.schema));
  }

  /**
   * Guesses the landmarks of an upright face.
   *
   * @param path Its picture.
   * @param box Box around its landmarks: left, top, width, height.
   * @throws {InputError} If the picture cannot be read.
   */
  guessIn(path: string, [x, y, width, height]: readonly [number, number, number, number]): Promise<Guess> {
    return this.#inTurn(path, { x: x + width / 2, y: y + height / 2, side: Math.max(width, height), angle: 0 });
  }

  #inTurn(path: string, place: FacePlace): Promise<Guess> {
    const result = this.#last.then(() => this.#guess(path, place));
    this.#last = result.catch(() => {});
    return result;
  }

  async #guess(path: string, place: FacePlace): Promise<Guess> {
    if (this.#picture?.path !== path) this.#picture = { path, image: await readImage(path) };
    const { image } = this.#picture;
    const pictures = [{ image, places: [place] }];
    for await (const [, [face]] of findFacesOfEach(nobody, this.detector, pictures, (one) => one, { flip: true })) {
      const { schema } = this.detector, points = convertLandmarks(face!.landmarks, schema, this.schema);
      const map = schema.name === this.schema.name ? undefined : schema.maps[this.schema.name];
      const spread = map ? map.map(([first]) => face!.uncertainty_px[first!]!) : Array.from(face!.uncertainty_px);
      return { landmarks: pointsOf(points), uncertainty_px: spread.map((px) => roundTo(px, 3)) };
    }
    throw new RangeError("Cannot guess the landmarks of no picture");
  }

  /** Frees the detector after the guesses that were asked for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.detector.destroy();
  }
}

/** Stands for the finder, as the place is known. */
const nobody = { find: () => Promise.reject(new RangeError("Cannot find faces without a finder")) };
