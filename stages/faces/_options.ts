/**
 * Options of `faces/render`, and the people, styles and poses that they choose.
 *
 * @module
 */
import { z } from "zod";
import { DEFAULT_POSE, PARTS, type PoseRange, WIDE_POSE } from "../../faces/render/render.ts";

const degrees = (axis: keyof typeof DEFAULT_POSE & `${string}_deg`, most: number, limit: string) =>
  z.number().min(0).max(most).optional().describe(
    `${limit}; by default ${DEFAULT_POSE[axis]}, ${WIDE_POSE[axis]} with wide_poses`,
  );

/** The options. */
export const options = z.object({
  styles: z.array(z.string().min(1)).min(1).optional().describe(
    "Names of styles; by default photo, unless split is given. wild draws a recipe for each image from the whole space of " +
      "style files, between the folder's styles and beyond, without those to test on",
  ),
  split: z.enum(["train", "test", "all"]).optional()
    .describe(
      "Styles of the folder instead of a list: train and test are all but photo, by split in the style's file",
    ),
  styles_dir: z.string().min(1).default("pipelines/styles").describe("Folder of the style files"),
  count: z.int().min(1).max(1_000_000).optional().describe("Number of images, styles in turn"),
  per_style: z.int().min(1).max(100_000).optional().describe("Images of each style, instead of count"),
  size_px: z.int().min(16).max(1024).default(64).describe("Side of the images"),
  people: z.enum(["train", "test"]).default("train").describe("Identities: train and test share none"),
  identities: z.int().min(1).optional().describe("Different people; by default one for each image"),
  first_identity: z.int().min(0).default(0).describe("Number of the first of these people"),
  wide_poses: z.boolean().default(false)
    .describe("Poses as in photographs at large: most heads are nearly frontal, some reach the limits"),
  yaw_deg: degrees("yaw_deg", 80, "Largest yaw, degrees"),
  pitch_deg: degrees("pitch_deg", 35, "Largest pitch, degrees"),
  roll_deg: degrees("roll_deg", 60, "Largest roll, degrees"),
  without: z.array(z.enum(PARTS)).optional().describe(
    "Parts to leave out of the same images, for ablations",
  ),
  landmarks: z.enum(["annotators", "anatomy"]).optional().describe(
    "annotators (the default): where those of 300-W put landmarks; anatomy: at fixed heights of the jaw, the middle of " +
      "brows and the ends of lids, for ablations",
  ),
}).refine(({ styles, split }) => !(styles && split), { error: "give styles or split, not both", path: ["split"] })
  .refine(({ count, per_style }) => (count === undefined) !== (per_style === undefined), {
    error: "give count or per_style, one of them",
    path: ["count"],
  });

/** The options as the stage gets them. */
export type Options = z.output<typeof options>;

/** Range of the poses. */
export function poseOf(given: Options): PoseRange {
  const range = given.wide_poses ? WIDE_POSE : DEFAULT_POSE;
  const { yaw_deg = range.yaw_deg, pitch_deg = range.pitch_deg, roll_deg = range.roll_deg } = given;
  return { yaw_deg, pitch_deg, roll_deg, heavy: given.wide_poses };
}
