/**
 * The One-Euro filter: smooths values over time, much where they are slow and little where they are fast.
 *
 * Source: Casiez, Roussel & Vogel 2012, "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
 * Systems", CHI '12, algorithm 1.
 *
 * @module
 */

/** Parameters of the filter. */
export interface OneEuroOptions {
  /** Cutoff frequency at rest, Hz: less jitter where it is low. */
  readonly min_cutoff_hz: number;
  /** Growth of the cutoff frequency with the speed, Hz for each unit a second: less lag where it is high. */
  readonly beta: number;
  /** Cutoff frequency of the speed, Hz; by default 1. */
  readonly speed_cutoff_hz?: number;
}

/**
 * Smooths points of the plane; the speed of a point is that of both its coordinates together.
 *
 * `x = a(f) raw + (1 - a(f)) x`, `f = min_cutoff_hz + beta |v|`, `a(f) = 1 / (1 + 1 / (2 pi f dt))`
 */
export class OneEuroFilter {
  readonly #options: Required<OneEuroOptions>;
  #points: Float32Array | undefined;
  #speeds: Float32Array | undefined;

  /** Takes the parameters; the first points are taken as they are. */
  constructor(options: OneEuroOptions) {
    this.#options = { speed_cutoff_hz: 1, ...options };
  }

  /**
   * Takes the points of the next moment.
   *
   * @param points `[P, 2]`, as many as before.
   * @param seconds Time since those before.
   * @param unit Length that speeds are measured in, as points are: the size of a face, say.
   * @returns Smoothed, `[P, 2]`.
   */
  next(points: Float32Array, seconds: number, unit: number = 1): Float32Array {
    const before = this.#points, speeds = this.#speeds ?? new Float32Array(points.length);
    if (!before) this.#points = points.slice();
    else {
      const { min_cutoff_hz, beta, speed_cutoff_hz } = this.#options;
      const share = smoothing(speed_cutoff_hz, seconds);
      const smooth = points.slice();
      for (let p = 0; p < points.length; p += 2) {
        for (let k = p; k < p + 2; k++) {
          speeds[k] = share * (points[k]! - before[k]!) / seconds + (1 - share) * speeds[k]!;
        }
        const speed = Math.hypot(speeds[p]!, speeds[p + 1]!) / unit;
        const weight = smoothing(min_cutoff_hz + beta * speed, seconds);
        for (let k = p; k < p + 2; k++) smooth[k] = weight * points[k]! + (1 - weight) * before[k]!;
      }
      this.#points = smooth;
    }
    this.#speeds = speeds;
    return this.#points.slice();
  }
}

/** Weight of a new value under a low-pass filter of a cutoff frequency. */
function smoothing(cutoff_hz: number, seconds: number): number {
  return 1 / (1 + 1 / (2 * Math.PI * cutoff_hz * seconds));
}
