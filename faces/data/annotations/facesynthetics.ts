import type { Landmarks } from "../../landmarks.ts";
import { meanPoint } from "../../landmarks.ts";
import { type ImageFormat, stem } from "./format.ts";
import { parseNumbers } from "./text.ts";

/**
 * Microsoft's FaceSynthetics: `000000.png` with `000000_ldmks.txt`, 68 landmarks of iBUG and the two pupils;
 * `000000_seg.png` is a mask.
 *
 * Source: microsoft/FaceSynthetics, README.md; Wood et al. 2021, arXiv 2109.15102.
 */
export const facesynthetics: ImageFormat = {
  name: "facesynthetics",
  doc: "FaceSynthetics' NAME_ldmks.txt beside NAME.png, 70 landmarks",
  perImage: true,
  schema: "ibug70",
  accepts: (image) => !/_seg\.[^./]*$/.test(image),
  files: (image) => [`${stem(image)}_ldmks.txt`],
  parse: (bytes, context) => parseNumbers(bytes, context).map(pupilsBySide),
};

/** Puts the pupil of the left eye first. */
function pupilsBySide(face: Landmarks): Landmarks {
  const LEFT_EYE = [36, 37, 38, 39, 40, 41], RIGHT_EYE = [42, 43, 44, 45, 46, 47];
  const distance = (pupil: number, eye: readonly number[]) => {
    const [x, y] = meanPoint(face, eye), [u, v] = meanPoint(face, [pupil]);
    return Math.hypot(x - u, y - v);
  };
  const asIs = distance(68, LEFT_EYE) + distance(69, RIGHT_EYE);
  if (asIs <= distance(69, LEFT_EYE) + distance(68, RIGHT_EYE)) return face;
  const swapped = face.slice();
  swapped.set(face.subarray(2 * 69, 2 * 70), 2 * 68);
  swapped.set(face.subarray(2 * 68, 2 * 69), 2 * 69);
  return swapped;
}
