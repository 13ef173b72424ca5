import { InputError } from "../../../formats/input_error.ts";
import { type ListFormat, parseJsonText, toLandmarks } from "./format.ts";

/** FFHQ's index of aligned images, by number. */
export const ffhq: ListFormat = {
  name: "ffhq",
  doc: "ffhq-dataset-v2.json, the aligned images",
  perImage: false,
  matches: (start) => /^\s*\{/.test(start) && start.includes('"face_landmarks"'),
  parse(text, each, context) {
    for (
      const [key, entry] of Object.entries<{ image?: Record<string, unknown> }>(parseJsonText(text) ?? {})
    ) {
      each(`"${key}"`, () => {
        const { file_path, face_landmarks } = entry?.image ?? {};
        if (typeof file_path !== "string" || !Array.isArray(face_landmarks)) {
          throw new InputError('"image" with "file_path" and "face_landmarks" is expected');
        }
        return { image: file_path, landmarks: toLandmarks(face_landmarks.flat(), context) };
      });
    }
  },
};
