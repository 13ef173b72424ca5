import { decodeText } from "../../../formats/text.ts";
import { InputError } from "../../../formats/input_error.ts";
import { boundingBox } from "../../landmarks.ts";
import { coordinates, type ImageContext, type ImageFormat, inFile, pairs, stem, toLandmarks } from "./format.ts";

/**
 * Ultralytics' text files: a line for each face, `class cx cy w h` and x, y and, if there are three columns, visibility of
 * each landmark, in shares of the image's sides; images in `images/`, text in `labels/`.
 *
 * Source: docs.ultralytics.com, datasets/pose.
 */
export const yoloPose: ImageFormat = {
  name: "yolo_pose",
  doc: "YOLO's text files for keypoints, beside each image or in labels/ for images/",
  perImage: true,
  origin: 0.5,
  lacks: ["style", "group"],
  files(image) {
    const file = `${stem(image)}.txt`;
    const at = file.split("/").lastIndexOf("images");
    if (at < 0) return [`../labels/${file}`, file];
    return [file.split("/").with(at, "labels").join("/"), file];
  },
  parse(bytes, context) {
    const lines = decodeText(bytes, context.name).split("\n").map((line) => line.trim());
    const faces = lines.flatMap((line, i) =>
      line === "" ? [] : [inFile(`${context.name}:${i + 1}`, () => parseLine(line, context))]
    );
    if (!faces.length) throw new InputError(`Cannot read ${context.name}: there is no face in it`);
    return faces;
  },
  write(face, { origin }) {
    const share = (px: number, k: number) => Number((px / (k % 2 ? face.height : face.width)).toFixed(9));
    const { x, y, width, height } = boundingBox(face.landmarks);
    const box = [x + width / 2 + origin, y + height / 2 + origin, width, height].map(share);
    const points = pairs(coordinates(face.landmarks, origin)).flatMap((pair) => [...pair.map(share), 2]);
    return `${[0, ...box, ...points].join(" ")}\n`;
  },
  joins: true,
  folders: { images: "images", annotations: "labels" },
  extra: ({ schema: { count, mirror } }) => ({
    "data.yaml": [
      "path: .",
      "train: images",
      "val: images",
      `kpt_shape: [${count}, 3]`,
      `flip_idx: [${mirror.join(", ")}]`,
      "names: { 0: face }",
      "",
    ].join("\n"),
  }),
};

function parseLine(line: string, context: ImageContext) {
  const { schema: { count }, origin, width, height } = context;
  const fields = line.split(/\s+/).map(Number);
  const columns = fields.length === 5 + 3 * count ? 3 : 2;
  if (fields.length !== 5 + columns * count) {
    throw new InputError(`there are ${fields.length} numbers instead of ${5 + 2 * count} or ${5 + 3 * count}`);
  }
  const hidden = columns === 2 ? [] : Array.from({ length: count }, (_, p) => p).filter((p) => fields[7 + 3 * p] === 0);
  if (hidden.length) throw new InputError(`landmarks ${hidden.slice(0, 5).join(", ")} are not labelled`);
  const shares = fields.slice(5).filter((_, k) => k % columns < 2);
  if (shares.some((share) => share < -1 || share > 2)) {
    throw new InputError("its numbers are no shares of the image's sides, from 0 to 1");
  }
  return toLandmarks(shares.map((share, k) => share * (k % 2 ? height : width)), { schema: context.schema, origin });
}
