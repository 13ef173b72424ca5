/**
 * Detectors as ONNX models, with their pre- and post-processing.
 *
 * @module
 */
import { extent, Graph } from "../../engine/graph.ts";
import { onnxModel } from "../io/onnx.ts";
import { landmarksInPicture, squareOf } from "../io/onnx_squares.ts";
import type { HostTensors } from "../io/params.ts";
import { SETTLED, SETTLED_RAD } from "./face_passes.ts";
import { schemaOf } from "./network.ts";
import { type DetectorConfig, detectorNetwork } from "./registry.ts";

/**
 * Writes a detector as an ONNX model, which looks at one face of a picture.
 *
 * Its inputs are `picture`, `[h, w, 3]`, RGB from 0 to 255 as floats, and `place`, `[4]`, x, y, side and angle of the face, see
 * `FacePlace`; its outputs are `landmarks`, `[P, 2]`, and `uncertainty`, `[P]`, pixels of the picture, `next`, `[4]`, the place of
 * the next pass, `settled`, `[1]`, 1 where that is nearly the same place, and `evidence`, `[1 + D]`, logarithms of the doubt and of 1 and the features.
 *
 * @returns The file.
 */
export function detectorOnnx(config: DetectorConfig, tensors: HostTensors): Uint8Array<ArrayBuffer> {
  const { landmarks, covariance, features } = detectorNetwork(new Graph(), config, 1);
  const schema = schemaOf(config), { size_px } = config;
  return onnxModel({ landmarks, covariance, ...(features && { features }) }, tensors, {
    name: "detector",
    doc:
      `${schema.count} facial landmarks, ${schema.name}. picture: [h, w, 3], RGB from 0 to 255. place: x, y, side and angle ` +
      "(radians, clockwise) of the landmarks' box, pixels of the picture. landmarks, uncertainty: pixels of the picture. next: " +
      "the place by the landmarks. settled: 1 if it is nearly the one before. evidence: logarithms of the mean spread, parts of the square's side, and of 1 and each feature.",
    around: {
      inputs: { picture: ["h", "w", 3], place: [4] },
      outputs: {
        landmarks: [schema.count, 2],
        uncertainty: [schema.count],
        next: [4],
        settled: [1],
        evidence: [1 + (features ? extent(features, 1) : 0)],
      },
      write: (w, graph) => {
        const cut = squareOf(w, "picture", "place", size_px), found = graph({ images: cut.images });
        return landmarksInPicture(w, cut, found, { size_px, schema, shift: SETTLED, turn: SETTLED_RAD });
      },
    },
  });
}
