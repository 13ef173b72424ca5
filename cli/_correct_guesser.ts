/**
 * A detector's guesses of the landmarks of faces: at places that are known, or wherever a finder finds one.
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
import { findFacesOfEach, type Picture, type PlaceFinder } from "../models/detectors/find_faces.ts";

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
   * @param finder Loads a finder, for {@linkcode find}; it is asked for no earlier.
   * @throws {InputError} If the detector's landmarks do not contain it.
   */
  constructor(
    private readonly detector: Detector,
    private readonly schema: LandmarkSchema,
    private readonly finder?: () => Promise<PlaceFinder>,
  ) {
    convertLandmarks(new Float32Array(0), detector.schema, schema);
  }

  /**
   * Guesses the landmarks of a face, which is turned as these landmarks are.
   *
   * @param path Its picture.
   * @param landmarks `[P, 2]`: where the face is.
   * @throws {InputError} If the picture cannot be read, or the landmarks are all at one place.
   */
  async guess(path: string, landmarks: Float32Array): Promise<Guess> {
    if (!(interocular(landmarks, this.schema) >= 2)) {
      throw new InputError("Cannot guess the landmarks of a face whose eyes are at one place");
    }
    return await this.#guessAt(path, facePlace(landmarks, this.schema), true);
  }

  /**
   * Guesses the landmarks of a face, upright or not.
   *
   * @param path Its picture.
   * @param box Box around its landmarks: left, top, width, height.
   * @throws {InputError} If the picture cannot be read.
   */
  guessIn(path: string, [x, y, width, height]: readonly [number, number, number, number]): Promise<Guess> {
    return this.#guessAt(path, { x: x + width / 2, y: y + height / 2, side: Math.max(width, height), angle: 0 }, false);
  }

  /**
   * Finds the faces of a picture.
   *
   * @param path The picture.
   * @returns From the surest on.
   * @throws {InputError} If the picture cannot be read.
   */
  find(path: string): Promise<Guess[]> {
    return this.#inTurn(async () => this.#look(await this.finder?.() ?? null, { image: await this.#imageAt(path) }));
  }

  #guessAt(path: string, place: FacePlace, angles_known: boolean): Promise<Guess> {
    return this.#inTurn(async () => {
      const picture = { image: await this.#imageAt(path), places: [place], angles_known };
      const [guess] = await this.#look(null, picture);
      return guess!;
    });
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#last.then(act);
    this.#last = result.catch(() => {});
    return result;
  }

  async #imageAt(path: string): Promise<Image> {
    if (this.#picture?.path !== path) this.#picture = { path, image: await readImage(path) };
    return this.#picture.image;
  }

  async #look(finder: PlaceFinder | null, picture: Picture): Promise<Guess[]> {
    const { schema } = this.detector,
      map = schema.name === this.schema.name ? undefined : schema.maps[this.schema.name];
    for await (const [, faces] of findFacesOfEach(finder, this.detector, [picture], (one) => one, { flip: true })) {
      return faces.map(({ landmarks, uncertainty_px }) => {
        const points = convertLandmarks(landmarks, schema, this.schema);
        const spread = map ? map.map(([first]) => uncertainty_px[first!]!) : Array.from(uncertainty_px);
        return { landmarks: pointsOf(points), uncertainty_px: spread.map((px) => roundTo(px, 3)) };
      });
    }
    throw new RangeError("Cannot find faces without a picture");
  }

  /** Frees the detector after the guesses that were asked for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.detector.destroy();
  }
}
