import { InputError } from "../../../formats/input_error.ts";
import { type ListFormat, parseJsonText, toLandmarks } from "./format.ts";

/**
 * MetFaces' index. Landmarks were found in a reduced copy of the raw image, `unprocessed/...`, whose pixel i lies at
 * `(i + 0.5) * shrink` from the raw image's corner.
 *
 * Source: NVlabs/metfaces-dataset, metfaces.py, extract_face().
 */
export const metfaces: ListFormat = {
  name: "metfaces",
  doc: "metfaces.json, the images of unprocessed/ in the same folder",
  perImage: false,
  origin: 0.5,
  matches: (start) => /^\s*\[/.test(start) && start.includes('"face_spec"'),
  parse(text, each, context) {
    const json: unknown = parseJsonText(text);
    if (!Array.isArray(json)) throw new InputError("a list of objects is expected");
    json.forEach((entry, i) => {
      each(`[${i}]`, () => {
        const { source_path, face_spec } = entry ?? {};
        const { landmarks, shrink } = face_spec ?? {};
        if (typeof source_path !== "string" || !Array.isArray(landmarks) || typeof shrink !== "number") {
          throw new InputError('"source_path", and "face_spec" with "landmarks" and "shrink" are expected');
        }
        const values = landmarks.flat().map((value) => typeof value === "number" ? (value + 0.5) * shrink : value);
        return { image: source_path, landmarks: toLandmarks(values, context) };
      });
    });
  },
};
