/**
 * Styles are data: `pipelines/styles/<name>.yaml` names a domain, its prompt, and how `faces/render` draws it.
 *
 * @module
 */
import { z } from "zod";
import { fileNames, readText, readTextIfExists } from "../../formats/files.ts";
import { readYaml } from "../../formats/yaml_file.ts";

/** Values of enumerations in style files, in the order of their numbers in shaders/face_render_style.wgsl. */
export const KINDS = {
  shade: ["smooth", "cel", "flat"],
  background: ["scene", "paper", "gradient", "rays", "disc", "blotches"],
  marks: ["none", "hatch", "cross", "stipple", "halftone", "engrave", "cut"],
  medium: [
    "none",
    "oil",
    "strokes",
    "mosaic",
    "pixels",
    "glass",
    "watercolour",
    "points",
    "stitches",
    "facets",
    "chalk",
  ],
  palette: ["none", "lightness", "nearest"],
} as const;

/** Lines that noses are drawn with, in the order of their numbers in shaders/face_render_surface.wgsl. */
export const NOSES = ["whole", "ridge", "hook", "base"] as const;

const colour = z.string().regex(/^#[0-9a-fA-F]{6}$/, { error: "a colour is written as #rrggbb" });
const share = (fallback: number, max = 1) => z.number().min(0).max(max).default(fallback);
const colourList = z.array(colour).max(8).default([]);
const factor = (fallback = 1) => z.number().min(0.2).max(3).default(fallback);
const offset = (limit: number) => z.number().min(-limit).max(limit).default(0);

const shapeSchema = z.strictObject({
  exaggerate: z.number().min(0).max(3).default(1).describe("Factor on what sets a face apart from the mean face"),
  vary: share(0).describe("How far proportions stray from image to image, as a log factor"),
  face_length: factor().describe("Length below the eyes"),
  head_width: factor().describe("Width of the whole head"),
  cranium: factor().describe("Height above the brows"),
  jaw_width: factor().describe("Width of the jaw"),
  chin_width: factor().describe("Width of the chin"),
  chin_length: offset(0.5).describe("Added below the mouth, eye widths"),
  cheek_forward: offset(0.4).describe("Widest place of the face before the ears, eye widths"),
  eye_scale: factor().describe("Size of the eyes"),
  eye_open: factor().describe("Height of the eyes"),
  eye_round: offset(0.35).describe("Lids rounder, from almonds to circles, or more pointed"),
  eye_spacing: factor().describe("Distance of the eyes"),
  eye_tilt: offset(0.1).describe("Outer corners up, eye widths"),
  eye_y: offset(0.3).describe("Eyes down, eye widths"),
  iris_scale: factor().describe("Size of the irises in the eyes"),
  pupil: share(0.46).describe("Pupil over iris"),
  brow_thickness: factor().describe("Thickness of the brows"),
  brow_length: factor().describe("Length of the brows, from their inner ends"),
  brow_arch: factor().describe("Arch of the brows"),
  brow_raise: offset(0.2).describe("Brows up, eye widths"),
  brow_tilt: offset(0.15).describe("Inner ends down, eye widths"),
  nose_length: factor().describe("Length of the nose"),
  nose_width: factor().describe("Width of the nose"),
  nose_depth: factor().describe("How far the nose stands out"),
  nose_tip: offset(0.15).describe("Tip of the nose down, eye widths"),
  nostril: share(1, 2).describe("Size of the nostrils; 0: none"),
  mouth_width: factor().describe("Width of the mouth"),
  mouth_y: offset(0.2).describe("Mouth down, eye widths"),
  mouth_curve: offset(0.12).describe("Corners of the mouth up, eye widths"),
  mouth_open: factor().describe("How far an open mouth opens"),
  teeth: factor().describe("Height of the teeth; from 1.5 on both rows are seen"),
  lip_scale: factor().describe("Thickness of the lips"),
  ear: factor().describe("Size of the ears"),
  hair: factor().describe("Thickness of the hair"),
  least_hair: share(0).describe("Hair of the bald, eye widths thick; 0: they stay bald"),
  light_skin: share(0).describe("How far dark skins are drawn light"),
  neck: factor().describe("Width of the neck"),
  shoulders: factor().describe("Width of the shoulders"),
  relief: share(1, 2).describe("Depth of the modelling: cheeks, sockets, lips"),
}).prefault({});

/** Proportions of a style. */
export type StyleShape = z.output<typeof shapeSchema>;

const coloursSchema = z.strictObject({
  skin: colourList.describe("Instead of people's own; each person has one of them, in lists of one length the same"),
  hair: colourList.describe("Of hair, brows and beards"),
  lips: colourList.describe("Of lips"),
  iris: colourList.describe("Of irises"),
  cloth: colourList.describe("Of clothes, without stripes"),
  blush: share(0, 3).describe("Red paint on cheeks, nose and chin"),
  eye_white: share(1).describe("How far the white of eyes is white; 0: of the skin's colour"),
}).prefault({});

/** Colours that a style gives to people. */
export type StyleColours = z.output<typeof coloursSchema>;

const renderSchema = z.strictObject({
  shape: shapeSchema,
  colours: coloursSchema,
  shade: z.strictObject({
    kind: z.enum(KINDS.shade).default("smooth").describe("Light: continuous, in steps, or none"),
    levels: z.int().min(2).max(6).default(2).describe("Steps of cel shading"),
    softness: share(0.08, 0.5).describe("Width of the border between steps"),
    plain: share(0).describe("How far skin, hair and lips are one colour each"),
    key: share(1, 3).describe("Strength of the key light"),
    ambient: share(1, 3).describe("Strength of the ambient light"),
    shine: share(1, 3).describe("Strength of highlights"),
    hardness: z.number().min(0.3).max(3).default(1).describe("Exponent of the light's falloff"),
    side: share(0).describe("How far the key light comes from the side"),
    rim: share(0, 2).describe("Strength of a light from behind, smooth light only"),
    rim_colour: colour.default("#ffffff").describe("Colour of the light from behind"),
    shadow: colour.default("#99999f").describe("Tint of shadows"),
    edge_red: share(0.25).describe("Red glow at the edge of shadows on skin"),
  }).prefault({}),
  line: z.strictObject({
    outline: share(0, 0.05).describe("Width of outlines, share of the side"),
    feature: share(0, 0.05).describe("Width of lines of eyes, nose and mouth, share of the side"),
    wobble: share(0, 0.05).describe("How far lines stray, share of the side"),
    opacity: share(1).describe("How far lines cover"),
    colour: colour.default("#101010").describe("Colour of lines"),
    mixes: share(0).describe("How far lines darken the colour below instead of covering it"),
    folds: share(0).describe("How far outlines follow folds of the form as well, as the side of a nose before a cheek"),
    nose: z.enum(NOSES).default("whole").describe(
      "Lines of the nose: nostrils, wings and base; the ridge round the tip to a wing; the end of that; the base alone",
    ),
    jaw: z.boolean().default(true).describe("Whether a line parts face and neck"),
  }).prefault({}),
  fill: z.strictObject({
    amount: share(1).describe("How far colour covers the paper"),
    saturation: share(1, 3).describe("Factor on saturation"),
    contrast: share(1, 3).describe("Factor on contrast"),
    stray: share(0, 0.1).describe("How far colour strays from the drawing, share of the side"),
    brightness: offset(0.5).describe("Added to lightness"),
    hue_deg: z.number().min(-180).max(180).default(0).describe("Turn of the hue"),
    posterise: z.int().min(0).max(12).default(0).describe("Steps of each channel; 0: all"),
  }).prefault({}),
  background: z.strictObject({
    kind: z.enum(KINDS.background).default("scene").describe("What is behind the head"),
    colours: z.tuple([colour, colour]).default(["#808890", "#b0a890"]).describe(
      "Colours from top to bottom, of rays and blotches, of a disc and round it",
    ),
    vary: share(0.25).describe("How far the colours stray from image to image"),
    cloudy: share(0.5).describe("Unevenness of a gradient, softness of a disc"),
  }).prefault({}),
  paper: z.strictObject({
    colour: colour.default("#f4efe4").describe("Colour of the paper"),
    grain: share(0).describe("Roughness of the paper"),
    bare: share(0).describe("How far the paper stays bare in the corners"),
    ragged: share(0).describe("Unevenness of the border of what is bare"),
    weave: share(0).describe("Threads of the canvas"),
    cracks: share(0).describe("Darkness of a net of cracks, as in old paint"),
  }).prefault({}),
  marks: z.strictObject({
    kind: z.enum(KINDS.marks).default("none").describe(
      "Marks that make tones",
    ),
    spacing: z.number().min(0.004).max(0.2).default(0.02).describe("Distance of the marks, share of the side"),
    angle_deg: z.number().min(-180).max(180).default(40).describe("Direction of the marks, and of brush strokes"),
    strength: share(1).describe("How far marks cover"),
    from: share(0.8, 1.5).describe("Lightest tone that gets marks"),
    colour: colour.default("#181614").describe("Colour of the marks"),
  }).prefault({}),
  medium: z.strictObject({
    kind: z.enum(KINDS.medium).default("none").describe("What the image is made of"),
    size: z.number().min(0.004).max(0.2).default(0.03).describe("Size of its parts, share of the side"),
    strength: share(1).describe("How far it replaces the plain image"),
    edge: share(0.2).describe("Borders of the parts, unevenness of paint"),
    detail: share(0.6).describe("How far eyes, nose and mouth keep the plain image"),
    edge_colour: colour.default("#3a3630").describe("Colour of the borders"),
  }).prefault({}),
  palette: z.strictObject({
    kind: z.enum(KINDS.palette).default("none").describe("How colours are taken from the list"),
    colours: z.array(colour).max(8).default([]).describe("From dark to light"),
    mix: share(1).describe("How far the list replaces colours"),
    dither: share(0).describe("Noise before choosing"),
    ground: z.boolean().default(true).describe("Whether it is for what is behind the head as well"),
  }).prefault({}),
  lens: z.strictObject({
    photo: share(0).describe("Blur, noise, exposure and warmth of each photograph"),
    vignette: share(0).describe("Darkening of the corners"),
    fade: share(0).describe("Loss of contrast of old images"),
  }).prefault({}),
  landmarks: z.strictObject({
    eye_ends: share(0, 0.3).describe("Outer corners of the eyes inwards, parts of their width"),
    near_edge: share(0, 0.5).describe("Near edge of a turned face before its widest place, parts of a right angle"),
    brow_ends: share(0, 0.4).describe(
      "Outer ends of the brows inwards, parts of their length; of the brow turned away twice that",
    ),
    nose_side: share(0).describe("How far tip and far side of a turned nose are at the lower end of its line"),
  }).prefault({}).describe("Where annotators put landmarks on images of this kind, if not where they do on most"),
}).prefault({});

/** The schema of a style file. */
export const styleSchema = z.strictObject({
  style: z.string().regex(/^[a-z0-9]+([ _-][a-z0-9]+)*$/, {
    error: "a name has words of small letters and digits, with a blank, - or _ between them",
  }).describe("Name, as it stands in prompts"),
  doc: z.string().min(1).describe("One sentence"),
  split: z.enum(["train", "test"]).default("train").describe(
    "test: kept out of training, to evaluate on styles never seen",
  ),
  prompt: z.string().min(1).default("a portrait of {style} style").describe("Prompt; {style} is the name"),
  negative_prompt: z.string().default("").describe("What guidance leads away from"),
  render: renderSchema,
});

/** A style with all defaults filled in. */
export type Style = z.output<typeof styleSchema> & {
  /** Name of the file without `.yaml`. */
  name: string;
};

/** Recipe of a style. */
export type StyleRender = Style["render"];

/** The prompt of a style, with its name filled in. */
export function stylePrompt(style: Pick<Style, "style" | "prompt">): string {
  return style.prompt.replaceAll("{style}", () => style.style);
}

/**
 * Reads the text of a style file.
 *
 * @param text YAML, as in `pipelines/styles/`.
 * @param path Its path, for errors and for the style's name.
 * @throws {PipelineError} If it is no style: every error with its line.
 */
export function parseStyle(text: string, path: string): Style {
  const name = path.replace(/^.*[/\\]/, "").replace(/\.ya?ml$/, "");
  const source = { name: path, text };
  const content = readYaml(source, styleSchema, { owner: "the style", type: "a style" }, ({ render }, report) => {
    const { kind, colours } = render.palette;
    if (kind === "none" || colours.length >= 2) return;
    report(
      ["render", "palette", "colours"],
      `Cannot use the palette "${kind}" with ${colours.length} colours: it needs 2 to 8`,
    );
  });
  return { ...content, name };
}

/**
 * Reads a style file.
 *
 * @throws {PipelineError} If the file is no style: every error with its line.
 */
export async function loadStyle(path: string): Promise<Style> {
  return parseStyle(await readText(path), path);
}

/** Name of the style that is drawn anew for each image, and that has no file; see wild/style.ts. */
export const WILD = "wild";

/** Which styles of a folder: those to train on or those to test on, photo in neither, or all. */
export type Split = "train" | "test" | "all";

/**
 * Paths of the style files of a split, sorted, for those who must know them before a style is read.
 * The mark is looked up in the text, so a file that is no style does no harm here.
 */
export function styleFiles(dir: string, split: Split): string[] {
  return fileNames(dir).map((name) => `${dir}/${name}`).filter((path) => /\.ya?ml$/.test(path))
    .filter((path) => {
      if (split === "all") return true;
      const test = /^split:\s*["']?test\b/m.test(readTextIfExists(path) ?? "");
      return !/\/photo\.ya?ml$/.test(path) && test === (split === "test");
    });
}
