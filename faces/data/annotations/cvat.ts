import { InputError } from "../../../formats/input_error.ts";
import { escapeXml, parseXml, type XmlElement } from "../../../formats/xml.ts";
import {
  type AnnotationContext,
  byImage,
  coordinates,
  type FaceToWrite,
  labelledLandmarks,
  landmarkNames,
  landmarkNumbers,
  type ListedFace,
  type ListFormat,
  pairs,
  toLandmarks,
} from "./format.ts";

/**
 * CVAT's XML for images, version 1.1: a face is a `points` shape with all landmarks, a `skeleton`, or one `points` shape for
 * each landmark, labelled with its number or name. Attributes `style` and `group` of a shape are taken. A shape of one
 * landmark may be occluded; of a shape with all of them that does not say which. A label is of one type, so that all faces are
 * written as skeletons where one of them has hidden landmarks.
 *
 * Source: docs.cvat.ai, docs/manual/advanced/xml_format.
 */
export const cvat: ListFormat = {
  name: "cvat",
  doc: "CVAT's XML for images, with points or skeletons",
  perImage: false,
  hides: true,
  origin: 0.5,
  file: "annotations.xml",
  matches: (start) => /<annotations[\s>]/.test(start),
  parse(text, each, context) {
    const root = parseXml(text);
    if (root.name !== "annotations") throw new InputError(`"annotations" is expected, not "${root.name}"`);
    if (root.children.some(({ name }) => name === "track")) {
      throw new InputError("it is of a video", { hint: "export the task as CVAT for images" });
    }
    for (const image of root.children.filter(({ name }) => name === "image")) {
      const of = (name: string) => image.children.filter((child) => child.name === name);
      const points = of("points");
      const single = points.filter((shape) => !shape.attributes.get("points")?.includes(";"));
      const add = (line: number, points: () => PlacedPoints, ...shapes: readonly XmlElement[]) =>
        each(line, () => {
          const name = image.attributes.get("name");
          if (!name) throw new InputError(`the image of line ${image.line} has no name`);
          return { image: name, ...points(), ...aboutOf(shapes) };
        });
      for (const shape of points) {
        if (single.includes(shape)) continue;
        add(shape.line, () => ({ landmarks: toLandmarks(numbersOf(shape), context) }), shape);
      }
      for (const skeleton of of("skeleton")) {
        add(
          skeleton.line,
          () => fromLabels(skeleton.children.filter(({ name }) => name === "points"), context),
          skeleton,
        );
      }
      if (single.length) add(single[0]?.line ?? image.line, () => fromLabels(single, context), ...single);
    }
  },
  write(faces, { schema, origin }) {
    const names = landmarkNames(schema).map(escapeXml);
    const type = faces.some(({ occluded = [] }) => occluded.length > 0) ? "skeleton" : "points";
    const attribute = (name: string) => `<attribute><name>${name}</name><input_type>text</input_type></attribute>`;
    const parts = type === "points"
      ? []
      : names.map((name) => `<label><name>${name}</name><type>points</type><parent>face</parent></label>`);
    const shapeOf = ({ landmarks, style, group, occluded = [] }: FaceToWrite) => {
      const points = pairs(coordinates(landmarks, origin)).map((pair) => pair.join());
      const about = Object.entries({ style, group }).map(([name, value]) =>
        `      <attribute name="${name}">${escapeXml(value)}</attribute>`
      );
      const shape = type === "points"
        ? [`    <points label="face" source="file" occluded="0" z_order="0" points="${points.join(";")}">`, ...about]
        : [
          '    <skeleton label="face" source="file" z_order="0">',
          ...points.map((pair, p) =>
            `      <points label="${names[p]}" source="file" outside="0" occluded="${
              occluded.includes(p) ? 1 : 0
            }" points="${pair}"></points>`
          ),
          ...about,
        ];
      return [...shape, `    </${type}>`];
    };
    const images = byImage(faces);
    const lines = images.flatMap(([image, own], id) => [
      `  <image id="${id}" name="${escapeXml(image)}" width="${own[0].width}" height="${own[0].height}">`,
      ...own.flatMap(shapeOf),
      "  </image>",
    ]);
    return [
      '<?xml version="1.0" encoding="utf-8"?>',
      "<annotations>",
      "  <version>1.1</version>",
      `  <meta><task><size>${images.length}</size><mode>annotation</mode><labels><label><name>face</name><type>${type}</type>` +
      `<attributes>${attribute("style")}${attribute("group")}</attributes></label>${
        parts.join("")
      }</labels></task></meta>`,
      ...lines,
      "</annotations>",
      "",
    ].join("\n");
  },
};

/** Numbers of the attribute `points`, as in `1.5,2;3,4`. */
function numbersOf({ attributes }: XmlElement): number[] {
  const text = attributes.get("points") ?? "";
  return text.split(";").flatMap((pair) => {
    const fields = pair.split(",");
    return fields.length === 2 ? fields.map((field) => field.trim() === "" ? NaN : Number(field)) : [NaN];
  });
}

/** Landmarks of a face, and which of them are hidden. */
type PlacedPoints = Pick<ListedFace, "landmarks" | "occluded">;

function fromLabels(shapes: readonly XmlElement[], context: AnnotationContext): PlacedPoints {
  const points = shapes.filter(({ attributes }) => attributes.get("outside") !== "1").map((shape) => {
    const [x = NaN, y = NaN] = numbersOf(shape), { attributes } = shape;
    return { label: attributes.get("label") ?? "", x, y, hidden: attributes.get("occluded") === "1" };
  });
  const landmarks = labelledLandmarks(points, context);
  const number = landmarkNumbers(points.map(({ label }) => label), context.schema);
  const occluded = points.filter(({ hidden }) => hidden).flatMap(({ label }) => number(label) ?? []);
  return { landmarks, ...(occluded.length > 0 && { occluded: occluded.sort((a, b) => a - b) }) };
}

/** Style and group in the attributes of shapes. */
function aboutOf(shapes: readonly XmlElement[]): Pick<ListedFace, "style" | "group"> {
  const values = shapes.flatMap(({ children }) => children).filter(({ name }) => name === "attribute")
    .map(({ attributes, text }) => [attributes.get("name") ?? "", text] as const);
  const [style, group] = ["style", "group"].map((key) => values.find(([name, text]) => name === key && text)?.[1]);
  return { ...(style !== undefined && { style }), ...(group !== undefined && { group }) };
}
