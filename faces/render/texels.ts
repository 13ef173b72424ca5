/**
 * Layout of the texture of a head's parameters: texels by name, for the code that writes them and the shaders that read them.
 *
 * @module
 */

/** Rows of the table of slices through the skull: their number, the height of the first one and the step, eye widths. */
export const TABLE = { SIZE: 128, TOP: -1.7, STEP: 4.1 / 127 };

/**
 * Numbers of texels, in the order of the texture. A parameter with a variable of its name in
 * shaders/face_render_head.wgsl is described there.
 */
const COUNTS = {
  camera: 1,
  row_x: 1,
  row_y: 1,
  row_z: 1,
  eye_left: 1,
  eye_right: 1,
  lids_left: 1,
  lids_right: 1,
  gaze: 1,
  brow_left: 1,
  brow_right: 1,
  arch: 1,
  mouth: 1,
  lips: 1,
  smile: 1,
  nose_line: 1,
  nose_wing: 1,
  nose_base: 1,
  bumps: 1,
  bumps_low: 1,
  hair: 1,
  hair_form: 1,
  limits: 1,
  beard: 1,
  /** Seed, side of the image (pixels). */
  shot: 1,
  /** Factor on the width of the shoulders, blush, white of the eyes, line of the nose (an index of `NOSES`). */
  style: 1,
  /** Direction of the key light in the head's frame; sharpness of its shadow. */
  key_to: 1,
  /** Colour of the skin; its shine. */
  skin: 1,
  /** Colour of the lips; how far they are painted. */
  lip: 1,
  /** Colour of the iris. */
  iris: 1,
  /** Colour of the hair. */
  hair_colour: 1,
  /** Colour of the brows; how dense they are. */
  brow_colour: 1,
  /** Colour of the clothes. */
  cloth: 1,
  /** Freckles, redness, glasses, fine grain. */
  marks: 1,
  /** Lower colour of the background; its kind. */
  back_low: 1,
  /** Upper colour of the background. */
  back_high: 1,
  /** Colour of the rims of glasses. */
  rims: 1,
  /** Second colour of the clothes; their stripes. */
  stripes: 1,
  /** Darkness of the lashes; colour of the eye shadow. */
  makeup: 1,
  /** Heights of landmarks 0 to 7. */
  jaw: 2,
  /** Colour of the key light. */
  key: 1,
  /** Colour of the ambient light; light on the rim of the head. */
  ambient: 1,
  /** The image's own blur (pixels), noise, exposure, warmth. */
  lens: 1,
  /** Black and white, contrast, saturation. */
  film: 1,
  /** Slices through the skull: half-width, front depth and back depth, squared; z of the widest place. */
  table: TABLE.SIZE,
  bend_axis: 1,
  bend_parts: 1,
  eye_form: 1,
  eye_more: 1,
  nose_form: 1,
  hair_fall: 1,
  hat: 1,
  held: 1,
  /** Direction of the key light in the camera's frame; sharpness of its shadow. */
  key_camera: 1,
  /** Of each further light: its direction and how far it wraps round, its colour. */
  lights: 4,
  /** Of glasses: half of the rim's thickness, tint, reflection, size. */
  lenses: 1,
  /** Colour of what is worn; 1 if the hat is knitted. */
  worn: 1,
  /** Light from the ground. */
  ground: 1,
  throat: 1,
  /** Beyond the outer corner of the eye: length of lashes or a painted wing, its slope, its darkness, lines. */
  corner: 1,
  collar: 1,
  /** Colour of a shirt; strands of hair across the face. */
  linen: 1,
  /** Of a style's landmarks: the near edge, the ends of the eyes, the ends of the brows, the side of the nose. */
  landmarks: 1,
} as const;

/** A parameter. */
export type TexelName = keyof typeof COUNTS;

let end = 0;
const firsts = Object.entries(COUNTS).map(([name, count]) => {
  end += count;
  return [name, end - count] as const;
});

/** First texel of each parameter. */
export const TEXELS = Object.fromEntries(firsts) as Readonly<Record<TexelName, number>>;

/** Number of texels of a head. */
export const PARAM_TEXELS: number = end;

/** The layout as constants of WGSL, `SKIN_AT` for `skin`; one line, so that it moves no other line of a shader. */
export const TEXEL_CONSTANTS: string = [
  ...firsts.map(([name, at]) => `const ${name.toUpperCase()}_AT: i32 = ${at};`),
  `const TABLE_SIZE: i32 = ${TABLE.SIZE};`,
  `const TABLE_TOP: f32 = ${TABLE.TOP};`,
  `const TABLE_STEP: f32 = ${TABLE.STEP};`,
].join(" ");
