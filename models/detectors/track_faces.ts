/**
 * Faces of a video's frames: each has a number that stays, and landmarks that do not jitter.
 *
 * @module
 */

import { OneEuroFilter } from "../../faces/one_euro.ts";
import { boundingBox } from "../../faces/landmarks.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { faceAngle } from "../../faces/place.ts";
import { type Face, overlap } from "./find_faces.ts";

/** A face of a frame. */
export interface TrackedFace extends Face {
  /** Number of the face, from 1: the same in all frames. */
  readonly track: number;
}

/** Options of a {@linkcode FaceTracker}. */
export interface TrackOptions {
  /** Frames a second. */
  readonly fps: number;
  /** Cutoff frequency of a face at rest, Hz; by default 1. */
  readonly min_cutoff_hz?: number;
  /** Growth of the cutoff frequency, Hz for each length of the face a second; by default 12. */
  readonly beta?: number;
}

/** Boxes of a face in two frames overlap so much, intersection over union, at least. */
const SAME_FACE = 0.3;
/** Seconds for which a face may be out of sight, and then has the same number. */
const HELD_SECONDS = 0.5;

interface Track {
  readonly number: number;
  readonly filter: OneEuroFilter;
  box: Face["box"];
  /** Frame in which it was last seen. */
  frame: number;
}

/**
 * Follows faces from frame to frame, by the overlap of their boxes, and smooths their landmarks with One-Euro filters
 * ({@linkcode OneEuroFilter}), whose unit is the longer side of the face's box.
 */
export class FaceTracker {
  readonly #options: Required<TrackOptions>;
  readonly #schema: LandmarkSchema;
  #tracks: Track[] = [];
  #frame = 0;
  #count = 0;

  /** Takes the schema of the landmarks. */
  constructor(schema: LandmarkSchema, options: TrackOptions) {
    this.#schema = schema;
    this.#options = { min_cutoff_hz: 1, beta: 12, ...options };
  }

  /**
   * Takes the faces of the next frame.
   *
   * @param faces As `findFaces` gives them; none where the frame could not be read.
   * @returns The same faces with their numbers, and landmarks, box and angle smoothed.
   */
  next(faces: readonly Face[]): TrackedFace[] {
    const { fps, ...smoothing } = this.#options;
    this.#frame++;
    this.#tracks = this.#tracks.filter(({ frame }) => this.#frame - frame <= Math.max(1, HELD_SECONDS * fps));
    const pairs = faces.flatMap((face, k) =>
      this.#tracks.map((track) => ({ k, track, shared: overlap(face.box, track.box) }))
    )
      .filter(({ shared }) => shared >= SAME_FACE).sort((a, b) => b.shared - a.shared);
    const matched = new Map<number, Track>(), taken = new Set<Track>();
    for (const { k, track } of pairs) {
      if (matched.has(k) || taken.has(track)) continue;
      matched.set(k, track);
      taken.add(track);
    }
    return faces.map((face, k) => {
      const track = matched.get(k) ?? this.#begin(face, smoothing);
      const seconds = (this.#frame - track.frame) / fps;
      track.frame = this.#frame;
      track.box = face.box;
      const landmarks = track.filter.next(face.landmarks, seconds, Math.max(face.box.width, face.box.height));
      return {
        ...face,
        landmarks,
        box: boundingBox(landmarks),
        angle: faceAngle(landmarks, this.#schema),
        track: track.number,
      };
    });
  }

  #begin({ box }: Face, smoothing: { min_cutoff_hz: number; beta: number }): Track {
    const track = { number: ++this.#count, filter: new OneEuroFilter(smoothing), box, frame: this.#frame - 1 };
    this.#tracks.push(track);
    return track;
  }
}
