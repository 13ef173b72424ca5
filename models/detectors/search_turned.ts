/**
 * A finder's search of a picture from all four quarters.
 *
 * @module
 */

import { type Image, turnQuarter } from "../../faces/data/image.ts";
import { itemAt } from "../../engine/lookup.ts";
import { type Affine, composeAffine } from "../../faces/landmarks.ts";
import type { Finder, FindOptions, FoundFace } from "../finder/finder.ts";

/** Votes for two turns of a picture that differ by less are the same. */
const LEAST_VOTE = 1e-6;

/** A picture turned by quarters. */
export interface Turned {
  readonly image: Image;
  /** Angle by which it is turned, radians, clockwise. */
  readonly angle: number;
  /** From its points to those of the picture. */
  readonly back: Affine;
}

/**
 * Searches a picture from all four quarters.
 *
 * Each face found has a vote for the angle of the picture's faces, by the square of its score and its sureness; a face counts
 * once more where it is upright, as upright ones are found more surely. What a finder takes for upright in every turn is no
 * evidence: its votes cancel out.
 *
 * @returns What is found in the turn in which the faces are the most upright, and that turn.
 */
export async function searchTurned(
  finder: Pick<Finder, "find">,
  asItIs: Turned,
  search: FindOptions,
): Promise<[found: FoundFace[], turned: Turned]> {
  const looks: { turned: Turned; found: FoundFace[]; upright: number }[] = [];
  let [x, y, turned] = [0, 0, asItIs];
  for (let quarters = 0; quarters < 4; quarters++) {
    if (quarters > 0) turned = turnedOnce(turned);
    const found = await finder.find(turned.image, search);
    let upright = 0;
    for (const { score, angle_sure, angle } of found) {
      const weight = score ** 2 * Math.min(1, angle_sure);
      upright += weight * Math.cos(angle);
      x += weight * Math.cos(angle - turned.angle);
      y += weight * Math.sin(angle - turned.angle);
    }
    looks.push({ turned, found, upright });
  }
  const votes = [x, -y, -x, y].map((vote, quarters) => vote + itemAt(looks, quarters, "looks").upright);
  // Rounding does not turn a picture.
  const quarters = votes.findIndex((vote) => vote > Math.max(...votes) - LEAST_VOTE);
  const best = itemAt(looks, quarters, "looks");
  return [best.found, best.turned];
}

/** The picture turned clockwise by one more quarter. */
function turnedOnce({ image, angle, back }: Turned): Turned {
  return {
    image: turnQuarter(image),
    angle: angle + Math.PI / 2,
    back: composeAffine(back, [0, 1, 0, -1, 0, image.height - 1]),
  };
}
