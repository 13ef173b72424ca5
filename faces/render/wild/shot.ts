/**
 * Images of people as wild styles have them.
 *
 * @module
 */
import type { RandomSource } from "../../../engine/rng.ts";
import { mix } from "../numbers.ts";
import type { PoseRange, Shot } from "../shot.ts";
import type { StyleRender } from "../styles.ts";

/** Share of the wild images whose heads turn evenly over the range. */
const TURNED = 0.35;
/** Share of those with a nose of one line that are seen from the side, as in prints, and how far they turn, degrees. */
const THREE_QUARTERS = { share: 0.8, most_deg: 55 };
/** Share of the wild images that are seen from close by, where noses grow and ears recede, and the distances, eye widths. */
const CLOSE = { share: 0.15, distances: [3.4, 6] } as const;

/** Width of a style's mouth from which people laugh more often than in photographs, and the share of those who do. */
const LAUGHING = { mouth_width: 1.3, share: 0.5 };

/** A shot as wild images have it: more of them from the side and from close by, wide mouths laughing. */
export function stageShot(
  shot: Shot,
  { line, shape }: Pick<StyleRender, "line" | "shape">,
  random: RandomSource,
  { yaw_deg }: Pick<PoseRange, "yaw_deg">,
): Shot {
  const [turns, turn, closes, close] = [random.uniform(), 2 * random.uniform() - 1, random.uniform(), random.uniform()];
  const [ahead, pitch, roll] = shot.pose;
  let yaw = ahead;
  if (line.nose === "ridge") {
    const most = Math.min(yaw_deg, THREE_QUARTERS.most_deg);
    if (turns < THREE_QUARTERS.share) yaw = Math.sign(turn) * mix(0.4, 1, Math.abs(turn)) * most * Math.PI / 180;
  } else if (turns < TURNED) yaw = turn * yaw_deg * Math.PI / 180;
  const distance = closes < CLOSE.share ? mix(...CLOSE.distances, close) : shot.distance;
  const staged: Shot = { ...shot, pose: [yaw, pitch, roll], distance };
  const [laughs, amount] = [random.uniform(), random.uniform()];
  if (shape.mouth_width < LAUGHING.mouth_width || laughs >= LAUGHING.share) return staged;
  return { ...staged, open: 0.3 + 0.6 * amount, smile: 0.4 + 0.6 * amount, teeth: 0.8 + 0.2 * amount };
}
