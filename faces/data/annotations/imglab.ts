import { InputError } from "../../../formats/input_error.ts";
import { escapeXml, parseXml, type XmlElement } from "../../../formats/xml.ts";
import { boundingBox } from "../../landmarks.ts";
import { byImage, type FaceToWrite, labelledLandmarks, type ListFormat, pairs } from "./format.ts";

/**
 * dlib's XML, as imglab writes it: boxes of an image with a `part` for each landmark. Its numbers are whole pixels.
 *
 * Source: davisking/dlib, dlib/data_io/image_dataset_metadata.cpp; dlib sorts parts by their names, so that these have
 * one number of digits.
 */
export const imglab: ListFormat = {
  name: "imglab",
  doc: "imglab's XML of dlib, a part for each landmark",
  perImage: false,
  lacks: ["style", "group", "fractions of a pixel"],
  file: "landmarks.xml",
  matches: (start) => /<dataset[\s>]/.test(start),
  parse(text, each, context) {
    const root = parseXml(text);
    const images = root.children.find(({ name }) => name === "images");
    if (root.name !== "dataset" || !images) throw new InputError('"dataset" with "images" is expected');
    for (const { attributes, children, line } of images.children.filter(({ name }) => name === "image")) {
      const image = attributes.get("file")?.replaceAll("\\", "/");
      for (const box of children.filter(({ name }) => name === "box")) {
        const parts = box.children.filter(({ name }) => name === "part");
        // dlib leaves such boxes out of trainings.
        if (parts.length === 0 && box.attributes.get("ignore") === "1") continue;
        each(box.line, () => {
          if (!image) throw new InputError(`the image of line ${line} has no "file"`);
          if (parts.length === 0) throw new InputError(`a box of ${image} has no parts`);
          return { image, landmarks: labelledLandmarks(parts.map(pointOf), context) };
        });
      }
    }
  },
  write(faces, { schema, origin }) {
    const digits = Math.max(2, String(schema.count - 1).length);
    const whole = (px: number) => Math.round(px + origin);
    const boxOf = ({ landmarks }: FaceToWrite) => {
      const { x, y, width, height } = boundingBox(landmarks);
      const box = `top='${whole(y)}' left='${whole(x)}' width='${Math.ceil(width)}' height='${Math.ceil(height)}'`;
      const parts = pairs([...landmarks]).map(([x, y], i) =>
        `      <part name='${String(i).padStart(digits, "0")}' x='${whole(x)}' y='${whole(y)}'/>`
      );
      return [`    <box ${box}>`, ...parts, "    </box>"];
    };
    const images = byImage(faces).flatMap(([image, own]) => {
      const file = escapeXml(image).replaceAll("'", "&apos;");
      return [`  <image file='${file}'>`, ...own.flatMap(boxOf), "  </image>"];
    });
    return [
      "<?xml version='1.0' encoding='UTF-8'?>",
      "<dataset>",
      "<name>Facewright</name>",
      "<images>",
      ...images,
      "</images>",
      "</dataset>",
      "",
    ].join("\n");
  },
};

function pointOf({ attributes, line }: XmlElement): { label: string; x: number; y: number } {
  const [label, x, y] = ["name", "x", "y"].map((key) => attributes.get(key));
  if (label === undefined || !x || !y) throw new InputError(`the part of line ${line} has no name, x or y`);
  return { label, x: Number(x), y: Number(y) };
}
