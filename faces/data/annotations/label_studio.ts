import { InputError } from "../../../formats/input_error.ts";
import { escapeXml } from "../../../formats/xml.ts";
import { boundingBox } from "../../landmarks.ts";
import {
  type AnnotationContext,
  baseName,
  byImage,
  coordinates,
  type FaceToWrite,
  labelledLandmarks,
  landmarkNames,
  type ListedFace,
  type ListFormat,
  pairs,
  parseJsonText,
} from "./format.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * Label Studio's JSON and JSON-MIN: key points in percent of the image's sides, one for each landmark, labelled with its
 * number or name. Points of several faces of an image have one region each as their parent.
 *
 * Source: labelstud.io, guide/export, guide/task_format, tags/keypointlabels.
 */
export const labelStudio: ListFormat = {
  name: "label_studio",
  doc: "Label Studio's JSON or JSON-MIN with a key point for each landmark",
  perImage: false,
  origin: 0.5,
  file: "tasks.json",
  matches: (start) => /^\s*\[/.test(start) && /"(keypointlabels|annotations|completions)"/.test(start),
  parse(text, each, context) {
    const tasks: unknown = parseJsonText(text);
    if (!Array.isArray(tasks)) throw new InputError("a list of tasks is expected");
    tasks.forEach((one, i) => {
      const task = record(one);
      const place = `[${i}]`;
      let results: readonly Json[] = [];
      try {
        results = keyPoints(task);
      } catch (error) {
        each(place, () => {
          throw error;
        });
        return;
      }
      if (!results.length && !isSkipped(task)) {
        each(place, () => {
          throw new InputError("it has no key points");
        });
      }
      for (const face of Map.groupBy(results, ({ parentID }) => parentID).values()) {
        each(place, () => ({
          ...imageOf(task),
          landmarks: labelledLandmarks(face.map(pointOf), context),
          ...aboutOf(record(task.data ?? task)),
        }));
      }
    });
  },
  write(faces, context) {
    return JSON.stringify(byImage(faces).map(([, own], i) => taskOf(own, i, context)), null, 1) + "\n";
  },
  extra: ({ schema }) => ({
    "config.xml": [
      "<View>",
      '  <Image name="image" value="$image" zoom="true"/>',
      '  <KeyPointLabels name="landmarks" toName="image">',
      ...landmarkNames(schema).map((name) => `    <Label value="${escapeXml(name)}"/>`),
      "  </KeyPointLabels>",
      '  <RectangleLabels name="faces" toName="image">',
      '    <Label value="face"/>',
      "  </RectangleLabels>",
      "</View>",
      "",
    ].join("\n"),
  }),
};

function record(value: unknown): Json {
  return typeof value === "object" && value !== null ? value as Json : {};
}

function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(record) : [];
}

/** The key points of a task, whichever way it was exported. */
function keyPoints(task: Json): readonly Json[] {
  if (!("annotations" in task) && !("completions" in task)) { // JSON-MIN: lists of values by the names of their tags
    return Object.values(task).flatMap(list).filter(({ keypointlabels }) => Array.isArray(keypointlabels))
      .map((value) => ({ ...value, value }));
  }
  const all = list(task.annotations ?? task.completions).filter(({ was_cancelled }) => was_cancelled !== true);
  const points = (annotation: Json) =>
    list(annotation.result).filter(({ value }) => Array.isArray(record(value).keypointlabels));
  const used = all.filter((annotation) => points(annotation).length > 0);
  const truth = used.filter(({ ground_truth }) => ground_truth === true);
  const [only, ...more] = truth.length ? truth : used;
  if (more.length) {
    throw new InputError(`it has ${more.length + 1} annotations`, {
      hint: "mark one of them as ground truth in Label Studio",
    });
  }
  return only ? points(only) : [];
}

/** True for a task that an annotator left out by Label Studio's button for it. */
function isSkipped(task: Json): boolean {
  const all = list(task.annotations ?? task.completions);
  return all.length > 0 && all.every(({ was_cancelled }) => was_cancelled === true);
}

function pointOf(
  { value, original_width, original_height, image_rotation = 0 }: Json,
): { label: string; x: number; y: number } {
  const { x, y, keypointlabels } = record(value);
  const [label, ...others] = keypointlabels as readonly unknown[];
  if (typeof label !== "string" || others.length) throw new InputError("a key point has no label, or several");
  if (image_rotation !== 0) {
    throw new InputError(`it was annotated on an image that was turned by ${image_rotation} degrees`);
  }
  const numbers = [x, y, original_width, original_height];
  if (!numbers.every((number) => typeof number === "number")) {
    throw new InputError(`the key point "${label}" has no x, y, original_width or original_height`);
  }
  const [across, down, width, height] = numbers as [number, number, number, number];
  return { label, x: across * width / 100, y: down * height / 100 };
}

/** Paths that the image of a task may have in a folder. */
function imageOf(task: Json): Pick<ListedFace, "image" | "aliases"> {
  const data = record(task.data ?? task);
  const url = [data.image, data.img, ...Object.values(data)].find((value) =>
    typeof value === "string" && /\.(png|jpe?g|webp|bmp|gif|tiff?)([?#]|$)/i.test(value)
  );
  if (typeof url !== "string") throw new InputError('there is no image in its "data"');
  const local = /^\/data\/local-files\/?\?d=(.*)$/.exec(url)?.[1];
  const path = decode(local ?? url.replace(/[?#].*$/, ""));
  const file = baseName(path);
  // An uploaded file has eight hexadecimal digits in front of its name.
  const uploaded = /\/data\/upload\//.test(url) || typeof task.file_upload === "string";
  const names = [file, ...(uploaded ? [file.replace(/^[0-9a-f]{8}-/, "")] : [])];
  const first = local === undefined && /^\/data\/|^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? file : path;
  return { image: first, aliases: names.filter((name) => name !== first) };
}

/** Text of a URL without percent signs. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

function aboutOf({ style, group }: Json): Pick<ListedFace, "style" | "group"> {
  return {
    ...(typeof style === "string" && style !== "" && { style }),
    ...(typeof group === "string" && group !== "" && { group }),
  };
}

function taskOf(
  faces: readonly [FaceToWrite, ...FaceToWrite[]],
  index: number,
  { schema, origin }: Pick<AnnotationContext, "schema" | "origin">,
): Json {
  const names = landmarkNames(schema);
  const [{ image, width, height, style, group }] = faces;
  const percent = (px: number, side: number) => Number((100 * px / side).toFixed(7));
  const about = { to_name: "image", original_width: width, original_height: height, image_rotation: 0 };
  const result = faces.flatMap(({ landmarks }, n) => {
    const id = n === 0 ? `face${index}` : `face${index}_face${n + 1}`;
    const box = boundingBox(landmarks);
    const region = {
      id,
      type: "rectanglelabels",
      from_name: "faces",
      ...about,
      value: {
        x: percent(box.x + origin, width),
        y: percent(box.y + origin, height),
        width: percent(box.width, width),
        height: percent(box.height, height),
        rotation: 0,
        rectanglelabels: ["face"],
      },
    };
    const points = pairs(coordinates(landmarks, origin)).map(([x, y], p) => ({
      id: `${id}_${p}`,
      // Points of one face alone need no region around them.
      ...(faces.length > 1 && { parentID: id }),
      type: "keypointlabels",
      from_name: "landmarks",
      ...about,
      value: { x: percent(x, width), y: percent(y, height), width: 0.5, keypointlabels: [names[p]] },
    }));
    return faces.length > 1 ? [region, ...points] : points;
  });
  const data = { image: `/data/local-files/?d=${encodeURIComponent(image)}`, style, group };
  return { id: index + 1, data, annotations: [{ result }] };
}
