import { InputError } from "../../../formats/input_error.ts";
import { pointAt } from "../../geometry.ts";
import type { Landmarks } from "../../landmarks.ts";
import { baseName, folderOf, type ImageFormat, inFile, stem } from "./format.ts";
import { parseNumbers } from "./text.ts";

/**
 * WebCaricature: `OriginalImages/PERSON/C00001.jpg`, a caricature, or `P00001.jpg`, a photograph, with
 * `FacialPoints/PERSON/C00001.txt`, 17 lines with a blank or a tab between x and y. A person is a group.
 *
 * Source: Huo et al. 2017, arXiv 1703.03230; williamyang1991/DualStyleGAN, data_preparation/align_caricature_data.py;
 * edward3862/CariMe-pytorch, alignment.py.
 */
export const webcaricature: ImageFormat = {
  name: "webcaricature",
  doc: "WebCaricature's tree, 17 landmarks; a folder is a person, its images are a group",
  perImage: true,
  schema: "webcaricature17",
  files(image) {
    const file = `${stem(image)}.txt`;
    const [top, ...rest] = file.split("/");
    return top === "OriginalImages" ? [["FacialPoints", ...rest].join("/")] : [`../FacialPoints/${file}`];
  },
  describe(image) {
    const group = folderOf(image);
    const style = /^C/.test(baseName(image)) ? "caricature" : /^P/.test(baseName(image)) ? "photo" : undefined;
    return {
      ...(group !== undefined && group !== "OriginalImages" && { group }),
      ...(style !== undefined && { style }),
    };
  },
  parse: (bytes, context) => parseNumbers(bytes, context).map((face) => inFile(context.name, () => checked(face))),
};

/** Refuses a face whose outline is in another order than the schema's. */
function checked(face: Landmarks): Landmarks {
  const [leftEye, rightEye] = [pointAt(face, 8), pointAt(face, 11)];
  const [ax, ay] = [rightEye[0] - leftEye[0], rightEye[1] - leftEye[1]];
  /** Positions along the line through the eyes, and at right angles to it. */
  const across = (point: number) => pointAt(face, point)[0] * ax + pointAt(face, point)[1] * ay;
  const down = (point: number) => pointAt(face, point)[1] * ax - pointAt(face, point)[0] * ay;
  const ordered = [0, 1, 2, 3].every((point) =>
    across(1) <= across(point) && across(point) <= across(3) && down(0) <= down(point) && down(point) <= down(2)
  );
  if (!ordered) {
    throw new InputError(
      "landmarks 0 to 3 are not the forehead, the left of the face, the chin and the right of the face",
    );
  }
  return face;
}
