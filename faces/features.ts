/**
 * Features of a face: the parts that move as one.
 *
 * @module
 */
import type { LandmarkSchema } from "./schema.ts";

/** A part of the face: its name and its landmarks. */
export interface Feature {
  /** Name, such as `left_eye` or `mouth`. */
  readonly name: string;
  /** Landmarks, by index. */
  readonly points: readonly number[];
}

/** The parts of a schema that its features depend on. */
export type FeatureSchema = Pick<LandmarkSchema, "contours" | "regions" | "mirror" | "count">;

/**
 * The features of a schema. A contour whose mirror image is another one is a feature, such as an eye; those of a region that
 * are their own mirror images are one together, such as the lips. Landmarks on no contour belong to the feature of their
 * region that is on their side.
 *
 * @param schema The schema.
 * @returns Features with each landmark once, in the order of the contours.
 */
export function featuresOf({ contours, regions, mirror, count }: FeatureSchema): Feature[] {
  const regionOf = (p: number) => Object.entries(regions).find(([, points]) => points.includes(p))?.[0] ?? "other";
  const features = new Map<string, number[]>(), taken = new Set<number>();
  for (const { name, points } of contours) {
    const own = new Set(points), isWhole = points.every((p) => own.has(mirror[p]!));
    const key = isWhole ? regionOf(points[0]!) : name;
    const free = points.filter((p) => !taken.has(p));
    if (free.length) features.set(key, [...features.get(key) ?? [], ...free]);
    for (const p of points) taken.add(p);
  }
  const side = (p: number) => Math.sign(p - mirror[p]!);
  for (let p = 0; p < count; p++) {
    if (taken.has(p)) continue;
    const region = regionOf(p);
    const home = [...features.values()].find((points) =>
      points.some((q) => regionOf(q) === region && side(q) === side(p))
    );
    if (home) home.push(p);
    else features.set(region, [...features.get(region) ?? [], p]);
  }
  return [...features].map(([name, points]) => ({ name, points }));
}
