/**
 * Options of the stages that measure detectors.
 *
 * @module
 */
import { z } from "zod";
import { NORMALISERS } from "../../faces/metrics.ts";

/** Option `normaliser`. */
export const normaliserOption = z.enum(NORMALISERS).default("interocular").describe(
  "Length that errors are divided by: outer eye corners, centres of the eyes, diagonal of the landmarks' box",
);

/** Option `flip`. */
export const flipOption = z.boolean().default(false).describe(
  "Average the landmarks of an image and of its mirror image, both also moved by half a pixel of the heatmaps",
);
