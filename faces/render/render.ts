/**
 * Draws heads in styles, with their 68 landmarks projected from the surface that is drawn.
 *
 * Four shader passes: landmarks on the screen, from which the crop follows; what each sample sees; light and lines of the
 * style; its medium, then paper and lens. Each image is drawn with 2 x 2 samples a pixel.
 *
 * @module
 */
import { InputError } from "../../formats/input_error.ts";
import type { Image } from "../data/image.ts";
import { CROP_SCALE, type Landmarks } from "../landmarks.ts";
import { packHead, setCrop, wearsAnything } from "./head.ts";
import { type Convention, CURVE_POINTS, landmarksOf } from "./landmarks.ts";
import { clamp, mix } from "./numbers.ts";
import { SHADERS } from "./shaders.ts";
import type { HeadParams } from "./shot.ts";
import { KINDS, type StyleRender } from "./styles.ts";
import { PARAM_TEXELS } from "./texels.ts";

export type { Rgb } from "./colours.ts";
export { type Person, samplePerson, type Trait } from "./person.ts";
export {
  DEFAULT_POSE,
  type HeadParams,
  type Light,
  type PoseRange,
  sampleShot,
  type Shot,
  WIDE_POSE,
  type Worn,
} from "./shot.ts";

export type { Convention } from "./landmarks.ts";
export { type Part, PARTS, withoutParts } from "./parts.ts";

/** A drawn face. */
export interface RenderedFace {
  /** The image. */
  image: Image;
  /** Its landmarks, pixels. */
  landmarks: Landmarks;
}

/** Samples a pixel along each axis. */
const SAMPLES = 2;
/** Samples drawn at once; bounds the memory at 80 bytes a sample. */
const BATCH_SAMPLES = 1 << 20;
const STYLE_FLOATS = 27 * 4;
/** Most images drawn at once: as many styles fit into a uniform buffer of 64 KiB; as in face_render_style.wgsl. */
const MOST_FACES = 128;

interface Pipelines {
  curves: Record<Convention, () => GPUComputePipeline>;
  /** For heads that wear or hold something, and for others. */
  surface: Record<"worn" | "bare", () => GPUComputePipeline>;
  shade: GPUComputePipeline;
  paint: GPUComputePipeline;
  pack: GPUComputePipeline;
}
const compiled = new WeakMap<GPUDevice, Pipelines>();

/** The pipelines of a device, which are made once. */
function pipelines(gpu: GPUDevice): Pipelines {
  const made = compiled.get(gpu) ?? makePipelines(gpu);
  compiled.set(gpu, made);
  return made;
}

function makePipelines(gpu: GPUDevice): Pipelines {
  const make = (
    file: keyof typeof SHADERS,
    entryPoint: string,
    constants: Record<string, number> = {},
  ): GPUComputePipeline => {
    const label = `shaders/${file}.wgsl#${entryPoint}`;
    return gpu.createComputePipeline({
      label,
      layout: "auto",
      compute: { module: gpu.createShaderModule({ label, code: SHADERS[file] }), entryPoint, constants },
    });
  };
  const lazily = (...given: Parameters<typeof make>) => {
    let pipeline: GPUComputePipeline | undefined;
    return () => pipeline ??= make(...given);
  };
  const curves = (annotated: boolean) => lazily("face_render_landmarks", "curves", { annotated: Number(annotated) });
  const surface = (worn: boolean) => lazily("face_render_surface", "surface", { worn: Number(worn) });
  return {
    curves: { annotators: curves(true), anatomy: curves(false) },
    surface: { worn: surface(true), bare: surface(false) },
    shade: make("face_render_style", "shade"),
    paint: make("face_render_style", "paint"),
    pack: make("face_render_style", "pack"),
  };
}

/** Step back, eye widths, at which an outline is drawn. */
const OUTLINE_STEP = 0.17;

/** The same for a line that follows folds: wider lines are drawn at larger steps, so that slopes stay free of them. */
function outlineStep({ outline, folds }: StyleRender["line"]): number {
  return mix(OUTLINE_STEP, clamp(13 * outline, 0.05, OUTLINE_STEP), folds);
}

const rgb = (hex: string): number[] => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);

/** Writes a style as a `Style` of shaders/face_render_style.wgsl. */
function packStyle(style: StyleRender): Float32Array<ArrayBuffer> {
  const { shade, line, fill, background, paper, marks, medium, palette, lens } = style;
  const rad = Math.PI / 180;
  const out = new Float32Array(STYLE_FLOATS);
  const rows = [
    [KINDS.shade.indexOf(shade.kind), shade.levels, shade.softness, shade.plain],
    [shade.key, shade.ambient, shade.shine, shade.hardness],
    [...rgb(shade.shadow), shade.edge_red],
    [line.outline, line.feature, line.wobble, line.opacity],
    [...rgb(line.colour), line.mixes],
    [fill.amount, fill.saturation, fill.contrast, fill.brightness],
    [fill.hue_deg * rad, fill.posterise, KINDS.background.indexOf(background.kind), background.cloudy],
    [...rgb(paper.colour), paper.grain],
    [KINDS.marks.indexOf(marks.kind), marks.spacing, marks.angle_deg * rad, marks.strength],
    [...rgb(marks.colour), marks.from],
    [KINDS.medium.indexOf(medium.kind), medium.size, medium.strength, medium.edge],
    [...rgb(medium.edge_colour), paper.weave],
    [KINDS.palette.indexOf(palette.kind), palette.colours.length, palette.mix, palette.dither],
    [lens.photo, lens.photo, lens.vignette, lens.fade],
    [medium.detail, fill.stray, paper.bare, paper.ragged],
    [...rgb(background.colours[0]), ["scene", "paper"].includes(background.kind) ? 0 : 1],
    [...rgb(background.colours[1]), background.vary],
    [...rgb(shade.rim_colour).map((v) => v * shade.rim), palette.ground ? 1 : 0],
    [outlineStep(line), Number(line.jaw), paper.cracks, 0],
    ...palette.colours.map((hex) => [...rgb(hex), 0]),
  ];
  rows.forEach((row, i) => out.set(row, i * 4));
  return out;
}

function bind(
  gpu: GPUDevice,
  pipeline: GPUComputePipeline,
  resources: Record<number, GPUTextureView | GPUBuffer>,
): GPUBindGroup {
  return gpu.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: Object.entries(resources).map(([binding, resource]) => ({
      binding: Number(binding),
      resource: resource instanceof GPUBuffer ? { buffer: resource } : resource,
    })),
  });
}

type Step = readonly [GPUComputePipeline, GPUBindGroup, readonly [number, number, number]];

/** Writes passes into commands. */
function encode(gpu: GPUDevice, steps: readonly Step[]): GPUCommandEncoder {
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (const [pipeline, group, [x, y, z]] of steps) {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
  }
  pass.end();
  return encoder;
}

/** Runs passes and reads `source` back. */
async function submit(gpu: GPUDevice, source: GPUBuffer, steps: readonly Step[]): Promise<ArrayBuffer> {
  const target = gpu.createBuffer({ size: source.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = encode(gpu, steps);
  encoder.copyBufferToBuffer(source, 0, target, 0, source.size);
  gpu.queue.submit([encoder.finish()]);
  await target.mapAsync(GPUMapMode.READ);
  const bytes = target.getMappedRange().slice(0);
  target.destroy();
  return bytes;
}

/** The crop of a face: a square of 1.54 times the landmarks' box, shifted and scaled as the shot says. */
function cropOf(points: Float32Array, [scale, dx, dy]: HeadParams["shot"]["frame"], size_px: number) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 2) {
    left = Math.min(left, points[i]!);
    right = Math.max(right, points[i]!);
    top = Math.min(top, points[i + 1]!);
    bottom = Math.max(bottom, points[i + 1]!);
  }
  const side = CROP_SCALE * scale * Math.max(right - left, bottom - top);
  const unit = side / size_px;
  const middle = (size_px - 1) / 2;
  return {
    unit,
    x: middle - ((left + right) / 2 + dx * side) / unit,
    y: middle - ((top + bottom) / 2 + dy * side) / unit,
  };
}

/** GPU resources that are freed together. */
class Owned {
  readonly #all: { destroy(): void }[] = [];

  keep<T extends { destroy(): void }>(resource: T): T {
    this.#all.push(resource);
    return resource;
  }

  destroy(): void {
    for (const resource of this.#all) resource.destroy();
  }
}

/** Textures of the samples of `count` images. */
const layersOf = (gpu: GPUDevice, owned: Owned, side: number, count: number) => (): GPUTextureView =>
  owned.keep(
    gpu.createTexture({ size: [side, side, count], format: "rgba32float", usage: GPUTextureUsage.STORAGE_BINDING }),
  ).createView({ dimension: "2d-array" });

const storage = (gpu: GPUDevice, owned: Owned, size: number): GPUBuffer =>
  owned.keep(gpu.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC }));

/** Some heads as their samples see them, before a style gives them light and lines. */
interface Surface {
  readonly size_px: number;
  /** Parameters of the heads. */
  readonly params: GPUTextureView;
  readonly shape: GPUTextureView;
  readonly colour: GPUTextureView;
  readonly light: GPUTextureView;
  /** Landmarks of each head, pixels. */
  readonly landmarks: readonly Landmarks[];
  destroy(): void;
}

/** Draws the surfaces of heads whose texels are packed; their crops are written into the texels. */
async function drawSurface(
  gpu: GPUDevice,
  texels: readonly Float32Array[],
  frames: readonly HeadParams["shot"]["frame"][],
  size_px: number,
  convention: Convention,
): Promise<Surface> {
  const count = texels.length, side = size_px * SAMPLES, made = pipelines(gpu), owned = new Owned();
  try {
    const paramTexture = owned.keep(gpu.createTexture({
      size: [PARAM_TEXELS, count],
      format: "rgba32float",
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
    }));
    const upload = (): void => {
      const all = new Float32Array(count * PARAM_TEXELS * 4);
      texels.forEach((one, i) => all.set(one, i * one.length));
      gpu.queue.writeTexture({ texture: paramTexture }, all, { bytesPerRow: PARAM_TEXELS * 16 }, [PARAM_TEXELS, count]);
    };
    const params = paramTexture.createView();

    upload();
    const pointBuffer = storage(gpu, owned, count * CURVE_POINTS * 8);
    const curves = made.curves[convention]();
    const found = new Float32Array(
      await submit(gpu, pointBuffer, [
        [curves, bind(gpu, curves, { 0: params, 1: pointBuffer }), [Math.ceil(CURVE_POINTS / 8), count, 1]],
      ]),
    );
    const landmarks = frames.map((frame, i) => {
      const points = landmarksOf(found.subarray(i * CURVE_POINTS * 2, (i + 1) * CURVE_POINTS * 2), convention);
      const { unit, x, y } = cropOf(points, frame, size_px);
      setCrop(texels[i]!, { unit, x, y });
      return points.map((v, axis) => v / unit + (axis % 2 === 0 ? x : y));
    });
    upload();

    const layers = layersOf(gpu, owned, side, count);
    const [shape, colour, light] = [layers(), layers(), layers()];
    const worn = texels.map(wearsAnything);
    const steps = ([["worn", true], ["bare", false]] as const).flatMap(([kind, wears]): Step[] => {
      const drawn = Uint32Array.from(texels.keys()).filter((face) => worn[face] === wears);
      if (drawn.length === 0) return [];
      const numbers = owned.keep(
        gpu.createBuffer({ size: drawn.byteLength, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST }),
      );
      gpu.queue.writeBuffer(numbers, 0, drawn);
      const pipeline = made.surface[kind]();
      const group = bind(gpu, pipeline, { 0: params, 2: shape, 3: colour, 4: light, 5: numbers });
      return [[pipeline, group, [Math.ceil(side / 8), side, drawn.length]]];
    });
    gpu.queue.submit([encode(gpu, steps).finish()]);
    return { size_px, params, shape, colour, light, landmarks, destroy: () => owned.destroy() };
  } catch (error) {
    owned.destroy();
    throw error;
  }
}

/** Draws surfaces in styles, one for each. */
async function drawStyles(
  gpu: GPUDevice,
  { size_px, params, shape, colour, light, landmarks }: Surface,
  styles: readonly StyleRender[],
): Promise<RenderedFace[]> {
  const count = styles.length, side = size_px * SAMPLES, made = pipelines(gpu), owned = new Owned();
  try {
    const layers = layersOf(gpu, owned, side, count), [first, second] = [layers(), layers()];
    const recipes = owned.keep(
      gpu.createBuffer({
        size: MOST_FACES * STYLE_FLOATS * 4,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      }),
    );
    styles.forEach((style, i) => gpu.queue.writeBuffer(recipes, i * STYLE_FLOATS * 4, packStyle(style)));
    const pixelBuffer = storage(gpu, owned, count * size_px * size_px * 4);
    const samples = [Math.ceil(side / 8), side, count] as const;
    const isPainted = styles.some(({ medium }) => medium.kind !== "none");
    const paint: Step = [made.paint, bind(gpu, made.paint, { 0: params, 1: recipes, 5: first, 6: second }), samples];
    const bytes = new Uint8Array(
      await submit(gpu, pixelBuffer, [
        [
          made.shade,
          bind(gpu, made.shade, { 0: params, 1: recipes, 2: shape, 3: colour, 4: light, 6: first }),
          samples,
        ],
        ...isPainted ? [paint] : [],
        [
          made.pack,
          bind(gpu, made.pack, { 0: params, 1: recipes, 5: isPainted ? second : first, 7: pixelBuffer }),
          [Math.ceil(size_px / 8), size_px, count],
        ],
      ]),
    );
    return landmarks.map((points, face) => {
      const data = new Uint8Array(size_px * size_px * 3);
      const from = face * size_px * size_px * 4;
      for (let i = 0; i < size_px * size_px; i++) {
        data[i * 3] = bytes[from + i * 4]!;
        data[i * 3 + 1] = bytes[from + i * 4 + 1]!;
        data[i * 3 + 2] = bytes[from + i * 4 + 2]!;
      }
      return { image: { width: size_px, height: size_px, data }, landmarks: points };
    });
  } finally {
    owned.destroy();
  }
}

async function renderBatch(
  gpu: GPUDevice,
  heads: readonly HeadParams[],
  styles: readonly StyleRender[],
  size_px: number,
  convention: Convention,
): Promise<RenderedFace[]> {
  const texels = heads.map((head, i) => packHead(head, styles[i]!, size_px));
  const surface = await drawSurface(gpu, texels, heads.map(({ shot }) => shot.frame), size_px, convention);
  try {
    return await drawStyles(gpu, surface, styles);
  } finally {
    surface.destroy();
  }
}

/**
 * A head that is drawn in one style after the other: where only light, lines, medium or paper differ from the style before, it
 * takes a sixth of the time, as what its samples see is kept.
 */
export class HeadSketch implements Disposable {
  #kept: { readonly texels: Float32Array; readonly surface: Surface } | undefined;

  /** Takes the device, the head and the side of the images. */
  constructor(private readonly gpu: GPUDevice, private readonly head: HeadParams, private readonly size_px: number) {}

  /** Draws the head in a style, as {@linkcode renderFaces} does; one call at a time. */
  async draw(style: StyleRender): Promise<RenderedFace> {
    const { gpu, head, size_px } = this, texels = packHead(head, style, size_px);
    if (!this.#kept?.texels.every((value, i) => Object.is(value, texels[i]))) {
      this.#kept?.surface.destroy();
      this.#kept = undefined;
      const before = texels.slice();
      const surface = await drawSurface(gpu, [texels], [head.shot.frame], size_px, "annotators");
      this.#kept = { texels: before, surface };
    }
    return (await drawStyles(gpu, this.#kept!.surface, [style]))[0]!;
  }

  /** Frees what is kept. */
  [Symbol.dispose](): void {
    this.#kept?.surface.destroy();
    this.#kept = undefined;
  }
}

/**
 * Draws heads in styles.
 *
 * @param gpu The device; pipelines are compiled once for each.
 * @param heads Who and how, see {@link samplePerson} and {@link sampleShot}.
 * @param style The recipe of a style file for all heads, or one for each.
 * @param size_px Side of the images, 16 to 1024.
 * @param convention Places of the landmarks, by default those of 300-W's annotators.
 * @returns One image for each head, with its landmarks in pixels.
 * @throws {InputError} If the size is out of range.
 * @throws {RangeError} If there are recipes for more or fewer heads.
 */
export async function renderFaces(
  gpu: GPUDevice,
  heads: readonly HeadParams[],
  style: StyleRender | readonly StyleRender[],
  size_px: number,
  convention: Convention = "annotators",
): Promise<RenderedFace[]> {
  if (!Number.isInteger(size_px) || size_px < 16 || size_px > 1024) {
    throw new InputError(`Cannot draw faces at size_px ${size_px}: it must be a whole number from 16 to 1024`);
  }
  const styles = "shape" in style ? heads.map(() => style) : style;
  if (styles.length !== heads.length) {
    throw new RangeError(
      `Cannot draw ${heads.length} heads in ${styles.length} styles: give one for all or one for each`,
    );
  }
  const batch = Math.max(1, Math.min(MOST_FACES, Math.floor(BATCH_SAMPLES / (size_px * SAMPLES) ** 2)));
  const faces: RenderedFace[] = [];
  for (let i = 0; i < heads.length; i += batch) {
    faces.push(...await renderBatch(gpu, heads.slice(i, i + batch), styles.slice(i, i + batch), size_px, convention));
  }
  return faces;
}
