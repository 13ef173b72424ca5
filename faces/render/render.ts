/**
 * Draws heads in styles, with their 68 landmarks projected from the surface that is drawn.
 *
 * Four shader passes: landmarks on the screen, from which the crop follows; what each sample sees; light and lines of the
 * style; its medium, then paper and lens. Each image is drawn with 2 x 2 samples a pixel.
 *
 * @module
 */
import { InputError } from "../../formats/input_error.ts";
import headSource from "../../shaders/face_render_head.wgsl" with { type: "text" };
import landmarkSource from "../../shaders/face_render_landmarks.wgsl" with { type: "text" };
import surfaceSource from "../../shaders/face_render_surface.wgsl" with { type: "text" };
import styleSource from "../../shaders/face_render_style.wgsl" with { type: "text" };
import type { Image } from "../data/image.ts";
import { CROP_SCALE, type Landmarks } from "../landmarks.ts";
import { packHead, PARAM_TEXELS, setCrop } from "./head.ts";
import { type Convention, CURVE_POINTS, landmarksOf } from "./landmarks.ts";
import { clamp, type HeadParams, mix } from "./person.ts";
import { KINDS, type StyleRender } from "./styles.ts";

export {
  DEFAULT_POSE,
  type HeadParams,
  type Light,
  type Person,
  type PoseRange,
  type Rgb,
  samplePerson,
  sampleShot,
  type Shot,
  type Trait,
  WIDE_POSE,
  type Worn,
} from "./person.ts";

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
  surface: GPUComputePipeline;
  shade: GPUComputePipeline;
  paint: GPUComputePipeline;
  pack: GPUComputePipeline;
}
const compiled = new WeakMap<GPUDevice, Pipelines>();

function pipelines(gpu: GPUDevice): Pipelines {
  let made = compiled.get(gpu);
  if (!made) {
    const make = (
      file: string,
      code: string,
      entryPoint: string,
      constants: Record<string, number> = {},
    ): GPUComputePipeline => {
      const label = `shaders/${file}.wgsl#${entryPoint}`;
      return gpu.createComputePipeline({
        label,
        layout: "auto",
        compute: { module: gpu.createShaderModule({ label, code }), entryPoint, constants },
      });
    };
    const curves = (annotated: boolean) => {
      let pipeline: GPUComputePipeline | undefined;
      return () =>
        pipeline ??= make("face_render_landmarks", headSource + landmarkSource, "curves", {
          annotated: Number(annotated),
        });
    };
    made = {
      curves: { annotators: curves(true), anatomy: curves(false) },
      surface: make("face_render_surface", headSource + surfaceSource, "surface"),
      shade: make("face_render_style", styleSource, "shade"),
      paint: make("face_render_style", styleSource, "paint"),
      pack: make("face_render_style", styleSource, "pack"),
    };
    compiled.set(gpu, made);
  }
  return made;
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

/** Runs passes and reads `source` back. */
async function submit(
  gpu: GPUDevice,
  source: GPUBuffer,
  steps: readonly [GPUComputePipeline, GPUBindGroup, readonly [number, number, number]][],
): Promise<ArrayBuffer> {
  const target = gpu.createBuffer({ size: source.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (const [pipeline, group, [x, y, z]] of steps) {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
  }
  pass.end();
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

async function renderBatch(
  gpu: GPUDevice,
  heads: readonly HeadParams[],
  styles: readonly StyleRender[],
  size_px: number,
  convention: Convention,
): Promise<RenderedFace[]> {
  const count = heads.length;
  const side = size_px * SAMPLES;
  const made = pipelines(gpu);
  const owned: { destroy(): void }[] = [];
  const keep = <T extends { destroy(): void }>(resource: T): T => {
    owned.push(resource);
    return resource;
  };
  try {
    const texels = heads.map((head, i) => packHead(head, styles[i]!, size_px));
    const paramTexture = keep(gpu.createTexture({
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
    const storage = (size: number): GPUBuffer =>
      keep(gpu.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC }));

    upload();
    const pointBuffer = storage(count * CURVE_POINTS * 8);
    const curves = made.curves[convention]();
    const found = new Float32Array(
      await submit(gpu, pointBuffer, [
        [curves, bind(gpu, curves, { 0: params, 1: pointBuffer }), [Math.ceil(CURVE_POINTS / 8), count, 1]],
      ]),
    );
    const points = heads.map((_, i) =>
      landmarksOf(found.subarray(i * CURVE_POINTS * 2, (i + 1) * CURVE_POINTS * 2), convention)
    );
    const crops = heads.map((head, i) => cropOf(points[i]!, head.shot.frame, size_px));
    crops.forEach((crop, i) => setCrop(texels[i]!, crop));
    upload();

    const layers = (): GPUTextureView =>
      keep(
        gpu.createTexture({ size: [side, side, count], format: "rgba32float", usage: GPUTextureUsage.STORAGE_BINDING }),
      )
        .createView({ dimension: "2d-array" });
    const [shape, colour, light, first, second] = [layers(), layers(), layers(), layers(), layers()];
    const recipes = keep(
      gpu.createBuffer({
        size: MOST_FACES * STYLE_FLOATS * 4,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      }),
    );
    styles.forEach((style, i) => gpu.queue.writeBuffer(recipes, i * STYLE_FLOATS * 4, packStyle(style)));
    const pixelBuffer = storage(count * size_px * size_px * 4);
    const samples = [Math.ceil(side / 8), side, count] as const;
    const painted = styles.every(({ medium }) => medium.kind === "none") ? first : second;
    const bytes = new Uint8Array(
      await submit(gpu, pixelBuffer, [
        [made.surface, bind(gpu, made.surface, { 0: params, 2: shape, 3: colour, 4: light }), samples],
        [
          made.shade,
          bind(gpu, made.shade, { 0: params, 1: recipes, 2: shape, 3: colour, 4: light, 6: first }),
          samples,
        ],
        ...(painted === second
          ? [[made.paint, bind(gpu, made.paint, { 0: params, 1: recipes, 5: first, 6: second }), samples] as const]
          : []).map((step) => [...step] as [GPUComputePipeline, GPUBindGroup, typeof samples]),
        [
          made.pack,
          bind(gpu, made.pack, { 0: params, 1: recipes, 5: painted, 7: pixelBuffer }),
          [Math.ceil(size_px / 8), size_px, count],
        ],
      ]),
    );
    return heads.map((_, face) => {
      const data = new Uint8Array(size_px * size_px * 3);
      const from = face * size_px * size_px * 4;
      for (let i = 0; i < size_px * size_px; i++) {
        data[i * 3] = bytes[from + i * 4]!;
        data[i * 3 + 1] = bytes[from + i * 4 + 1]!;
        data[i * 3 + 2] = bytes[from + i * 4 + 2]!;
      }
      const { unit, x, y } = crops[face]!;
      const landmarks = points[face]!.map((v, i) => v / unit + (i % 2 === 0 ? x : y));
      return { image: { width: size_px, height: size_px, data }, landmarks };
    });
  } finally {
    for (const resource of owned) resource.destroy();
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
