/**
 * Turns a planned dispatch into a WGSL module: bindings and accessors for the adapter's storage class, fused
 * element-wise expressions, and the expansion of register tiles.
 *
 * @module
 */

import { type Kernel, type Shape, texels, type Window } from "./graph.ts";
import { itemAt } from "./lookup.ts";

/** Texels in a row of a storage texture; addressing is linear, so that a reshape costs nothing. */
export const ROW_TEXELS = 1024;

/** Texels of a result from which on, and up to which, it is written to a buffer and copied (`Device.staged`). */
const STAGED_TEXELS = [2 ** 12, 2 ** 22] as const;

/**
 * Bytes of a buffer for a result on a device that stages; 0 if it is so small that the pass costs more, or very large.
 *
 * @param copied True if the result is copied anyway, however small it is.
 */
export function stagedBytes(shape: Shape, copied = false): number {
  const count = texels(shape);
  if (count > STAGED_TEXELS[1] || count < STAGED_TEXELS[0] && !copied) return 0;
  // Whole rows; less than one as bindings are aligned.
  const unit = count < ROW_TEXELS ? 16 : ROW_TEXELS;
  return Math.ceil(count / unit) * unit * 16;
}

/** Formats of storage textures by element type. */
export const TEXEL_FORMATS = { f32: "rgba32float", f16: "rgba16float" } as const;

/**
 * Which texel of a broadcast operand belongs to texel `i` of the result: the sum over the kept dimensions of
 * `(i / inner % size) * stride`; null where the operand has the result's own layout.
 */
export type Indexing = readonly { inner: number; size: number; stride: number; outermost: boolean }[] | null;

/** A step of a fused expression; steps refer to earlier ones by their position. */
export type Step =
  /** The texel that the kernel has just computed (epilogues only). */
  | { readonly kind: "value" }
  /** A texel of the dispatch's read number `slot`; `splat` spreads its first lane over all four. */
  | { readonly kind: "load"; readonly slot: number; readonly indexing: Indexing; readonly splat: boolean }
  /** A texel of a window into that read, or zero. */
  | { readonly kind: "window"; readonly slot: number; readonly window: Window }
  /** An element-wise op on earlier steps. */
  | {
    readonly kind: "call";
    readonly name: string;
    readonly source: string;
    readonly args: readonly number[];
    readonly floats: readonly number[];
  };

/** Source of `ld_x` in a kernel: a tensor, or an expression over tensors. */
export type Load = { readonly slot: number } | { readonly shape: Shape; readonly steps: readonly Step[] };

/** Effect of `st_y` in a kernel: an expression over the stored texel (empty for none), then the write. */
export interface Store {
  readonly shape: Shape;
  readonly steps: readonly Step[];
}

/** A dispatch without its tensors: everything that decides its code and uniforms. */
export interface Program {
  readonly kernel: Kernel;
  /** Number of tensors that are bound for reading. */
  readonly reads: number;
  /** By position in `kernel.reads`. */
  readonly loads: readonly Load[];
  /** By position in `kernel.writes`. */
  readonly stores: readonly Store[];
}

/** Code of a program and the values of its uniforms; equal codes share a pipeline. */
export interface Assembled {
  readonly code: string;
  readonly label: string;
  /** Uniform block, 4 bytes a field. */
  readonly uniforms: ArrayBuffer;
  readonly workgroups: readonly [number, number];
}

/**
 * Chooses a grid for `count` workgroups: WebGPU allows 65,535 in a dimension, so larger grids fold into y.
 *
 * @returns Workgroups in x and y, whose product is at least `count`.
 */
export function grid(count: number): [number, number] {
  if (count <= 65535) return [count, 1];
  const y = Math.ceil(count / 65535);
  return [Math.ceil(count / y), y];
}

/**
 * Expands the register tiles of a shader: `//@ for p in P` ... `//@ end` repeats the lines between with `$p` replaced
 * by 0, 1, ... P - 1, and `$(p * S + 1)` is replaced by the value of the integer expression. Blocks nest.
 *
 * @param source WGSL with directives on lines of their own.
 * @param constants Values of the capital names.
 * @throws {SyntaxError} For an unknown name or a block that is not closed.
 */
export function expand(source: string, constants: Readonly<Record<string, number>>, label: string): string {
  const lines = source.split("\n");
  let at = 0;
  const block = (names: Record<string, number>, nested: boolean): string[] => {
    const out: string[] = [];
    while (at < lines.length) {
      const line = lines[at++] ?? "";
      const open = /^\s*\/\/@ for (\w+) in (.+)$/.exec(line);
      if (open) {
        const count = evaluate(open[2]!, names, label);
        const start = at;
        if (count === 0) block({ ...names, [open[1]!]: 0 }, true);
        for (let k = 0; k < count; k++) {
          at = start;
          out.push(...block({ ...names, [open[1]!]: k }, true));
        }
      } else if (/^\s*\/\/@ end/.test(line)) {
        if (!nested) throw new SyntaxError(`Cannot expand ${label}: "//@ end" in line ${at} closes nothing`);
        return out;
      } else {
        out.push(
          line
            .replace(/\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)/g, (_, e: string) => String(evaluate(e, names, label)))
            .replace(/\$([a-z]\w*)/g, (_, n: string) => String(evaluate(n, names, label))),
        );
      }
    }
    if (nested) throw new SyntaxError(`Cannot expand ${label}: a "//@ for" is not closed by "//@ end"`);
    return out;
  };
  return block({ ...constants }, false).join("\n");
}

/** Integer expression of names, numbers, + - * / and parentheses; / rounds down. */
function evaluate(text: string, names: Readonly<Record<string, number>>, label: string): number {
  const tokens = text.match(/[A-Za-z]\w*|\d+|[-+*/()]/g) ?? [];
  let at = 0;
  const atom = (): number => {
    const token = tokens[at++];
    if (token === "(") {
      const value = sum();
      at++;
      return value;
    }
    if (token === "-") return -atom();
    if (token !== undefined && /^\d/.test(token)) return Number(token);
    const value = token === undefined ? undefined : names[token];
    if (value === undefined) throw new SyntaxError(`Cannot expand ${label}: unknown name "${token}" in "${text}"`);
    return value;
  };
  const product = (): number => {
    let value = atom();
    while (tokens[at] === "*" || tokens[at] === "/") {
      value = tokens[at++] === "*" ? value * atom() : Math.floor(value / atom());
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-") {
      value = tokens[at++] === "+" ? value + product() : value - product();
    }
    return value;
  };
  return sum();
}

/** Collects uniforms under unique names while code is generated. */
class Uniforms {
  readonly fields: { name: string; type: "i32" | "f32"; value: number }[] = [];
  #count = 0;

  /** Index arithmetic by pattern: operands that broadcast alike share it, as an integer division costs a dozen loads. */
  readonly patterns = new Map<string, string>();

  add(type: "i32" | "f32", value: number, name = `k${this.#count++}`): string {
    this.fields.push({ name, type, value });
    return `u.${name}`;
  }

  declaration(): string {
    return `struct Uniforms { ${this.fields.map((f) => `${f.name}: ${f.type}`).join(", ")} }`;
  }

  bytes(): ArrayBuffer {
    const view = new DataView(new ArrayBuffer(Math.ceil(this.fields.length / 4) * 16));
    this.fields.forEach((f, k) =>
      f.type === "i32" ? view.setInt32(k * 4, f.value, true) : view.setFloat32(k * 4, f.value, true)
    );
    return view.buffer as ArrayBuffer;
  }
}

/** The texel `value` at index `i` of a tensor with zeros in the lanes that pad its innermost dimension. */
function unpadded(value: string, shape: Shape): string {
  const last = shape.at(-1) ?? 1;
  if (last % 4 === 0) return value;
  const lanes = `vec4<bool>(${[0, 1, 2, 3].map((lane) => lane < last % 4).join(", ")})`;
  const own = last < 4 ? lanes : `${lanes} | vec4<bool>(i % ${Math.ceil(last / 4)} != ${Math.floor(last / 4)})`;
  return `select(vec4f(), ${value}, ${own})`;
}

/** Statements that evaluate fused steps at texel `i`; the last step is the result. */
function statements(steps: readonly Step[], uniforms: Uniforms): string {
  return steps.map((step, k) => {
    if (step.kind === "value") return `let s${k} = v;`;
    if (step.kind === "call") {
      const args = [...step.args.map((a) => `s${a}`), ...step.floats.map((f) => uniforms.add("f32", f))];
      return `let s${k} = op_${step.name}(${args.join(", ")});`;
    }
    if (step.kind === "window") return `let s${k} = ${windowed(step, uniforms)};`;
    const load = `r${step.slot}(${index(step.indexing, uniforms)})`;
    return `let s${k} = ${step.splat ? `vec4f(${load}.x)` : load};`;
  }).join(" ");
}

/** WGSL of a texel of a window; one integer division, shared by the windows of a period. */
function windowed({ slot, window: { period, skip, offset, extent } }: Step & { kind: "window" }, uniforms: Uniforms) {
  const add = (value: number) => uniforms.add("i32", value);
  const key = `window ${period}`;
  const row = uniforms.patterns.get(key) ?? `quotient(i, ${add(period)})`;
  uniforms.patterns.set(key, row);
  const load = `r${slot}(i + ${row} * ${add(skip)} + ${add(offset)})`;
  if (offset >= 0 && period + offset <= extent) return load;
  const at = `i - ${row} * ${add(period)} + ${add(offset)}`;
  return `select(vec4f(), ${load}, ${at} >= 0 && ${at} < ${add(extent)})`;
}

/** Up to here a quotient of floats is wrong by less than one, and the correction makes it exact. */
const EXACT_QUOTIENTS = 2 ** 22;

/**
 * WGSL of `quotient(i, d)` and `remainder(i, d)`, i not negative. Processors have no division of integer vectors, so
 * floats divide unless there are too many texels.
 */
function division({ kernel, loads, stores }: Program): string {
  const shapes = [...loads, ...stores].flatMap((part) => "shape" in part ? [texels(part.shape)] : []);
  const body = Math.max(kernel.threads, ...shapes) <= EXACT_QUOTIENTS
    ? "let q = i32(f32(i) / f32(d)); let r = i - q * d; return q + select(0, 1, r >= d) - select(0, 1, r < 0);"
    : "return i / d;";
  return `fn quotient(i: i32, d: i32) -> i32 { ${body} }\nfn remainder(i: i32, d: i32) -> i32 { return i - quotient(i, d) * d; }`;
}

/** WGSL of the decoding of texel `t` of maps `[N, height, width, 4 channels4]`. */
const PIXEL = `struct Pixel { n: i32, h: i32, w: i32, c: i32 }
fn pixel(t: i32, height: i32, width: i32, channels4: i32) -> Pixel {
  let at = quotient(t, channels4);
  let row = quotient(at, width);
  let n = quotient(row, height);
  return Pixel(n, row - n * height, at - row * width, t - at * channels4);
}`;

/** WGSL of a broadcast index. */
function index(indexing: Indexing, uniforms: Uniforms): string {
  if (indexing === null) return "i";
  if (indexing.length === 0) return "0";
  const pattern = JSON.stringify(indexing);
  let code = uniforms.patterns.get(pattern);
  if (code === undefined) {
    code = indexing.map(({ inner, size, stride, outermost }) => {
      const shifted = inner === 1 ? "i" : `quotient(i, ${uniforms.add("i32", inner)})`;
      const wrapped = outermost ? shifted : `remainder(${shifted}, ${uniforms.add("i32", size)})`;
      return stride === 1 ? wrapped : `${wrapped} * ${uniforms.add("i32", stride)}`;
    }).join(" + ");
    uniforms.patterns.set(pattern, code);
  }
  return code;
}

/** Declaration of a tensor, and the function that reads or writes a texel of it. */
interface Accessor {
  readonly binding: string;
  readonly access: string;
}

/** WGSL of the coordinates of texel `i` in a texture. */
const TEXEL_XY = `vec2i(i & ${ROW_TEXELS - 1}, i >> ${Math.log2(ROW_TEXELS)})`;

function readAccessor(k: number, dtype: keyof typeof TEXEL_FORMATS, texture: boolean): Accessor {
  if (texture) {
    return {
      binding: `@group(0) @binding(${1 + k}) var R${k}: texture_storage_2d<${TEXEL_FORMATS[dtype]}, read>;`,
      access: `fn r${k}(i: i32) -> vec4f { return textureLoad(R${k}, ${TEXEL_XY}); }`,
    };
  }
  const [type, element] = dtype === "f16"
    ? ["vec2u", `vec4f(unpack2x16float(R${k}[i].x), unpack2x16float(R${k}[i].y))`]
    : ["vec4f", `R${k}[i]`];
  return {
    binding: `@group(0) @binding(${1 + k}) var<storage, read> R${k}: array<${type}>;`,
    access: `fn r${k}(i: i32) -> vec4f { return ${element}; }`,
  };
}

/** Reads what a dispatch writes in place. */
function inPlaceAccessor(k: number, write: number): Accessor {
  return { binding: "", access: `fn r${k}(i: i32) -> vec4f { return W${write}[i]; }` };
}

/** WGSL of v as f16 may have it: what is beyond its range is infinite, while some drivers store the largest number. */
const F16_RANGE = "select(v, v * 3e38, abs(v) >= vec4f(65520.0))";

function writeAccessor(k: number, binding: number, dtype: keyof typeof TEXEL_FORMATS, texture: boolean): Accessor {
  const [type, element] = dtype === "f16"
    ? ["vec2u", "vec2u(pack2x16float(x.xy), pack2x16float(x.zw))"]
    : ["vec4f", "x"];
  const [declaration, write] = texture
    ? [` W${k}: texture_storage_2d<${TEXEL_FORMATS[dtype]}, write>;`, `textureStore(W${k}, ${TEXEL_XY}, x)`]
    : [`<storage, read_write> W${k}: array<${type}>;`, `W${k}[i] = ${element}`];
  const x = dtype === "f16" ? F16_RANGE : "v";
  return {
    binding: `@group(0) @binding(${binding}) var${declaration}`,
    access: `fn w${k}(i: i32, v: vec4f) { let x = ${x}; ${write}; }`,
  };
}

/** `ld_x` and `ldz_x` of each input of a kernel. */
function loadFunctions({ kernel, loads }: Program, uniforms: Uniforms, zeroOutside: boolean): string[] {
  return kernel.reads.flatMap((name, k) => {
    const load = itemAt(loads, k, "loads");
    const direct = "slot" in load;
    const body = direct
      ? `return r${load.slot}(i);`
      : `${statements(load.steps, uniforms)} return ${unpadded(`s${load.steps.length - 1}`, load.shape)};`;
    return [
      `fn ld_${name}(i: i32) -> vec4f { ${body} }`,
      // Reading outside a storage texture gives zero on adapters where a start-up probe saw that; elsewhere it is selected.
      direct && zeroOutside
        ? `fn ldz_${name}(i: i32) -> vec4f { return r${load.slot}(i); }`
        : `fn ldz_${name}(i: i32) -> vec4f { return select(vec4f(), ld_${name}(max(i, 0)), i >= 0); }`,
    ];
  });
}

/** `st_y` of each output of a kernel. */
function storeFunctions({ kernel, stores }: Program, uniforms: Uniforms): string[] {
  return kernel.writes.map((name, k) => {
    const { shape, steps } = itemAt(stores, k, "stores");
    const stored = unpadded(steps.length ? `s${steps.length - 1}` : "v", shape);
    return `fn st_${name}(i: i32, v: vec4f) { ${statements(steps, uniforms)} w${k}(i, ${stored}); }`;
  });
}

/** Functions of the element-wise ops that are fused, each once. */
function calledFunctions({ loads, stores }: Program): Iterable<string> {
  const functions = new Map<string, string>();
  for (const { steps } of [...loads.filter((load) => "steps" in load), ...stores]) {
    for (const step of steps) if (step.kind === "call") functions.set(step.name, step.source);
  }
  return functions.values();
}

/**
 * Assembles the WGSL module of a program for a storage class.
 *
 * @param dtypes Element types of the tensors bound for reading and of the results.
 * @param how `staged`: for each of the results, true if it is written to a buffer in every storage class; `inPlace`: for each
 * of the tensors bound for reading, the result that is written to its buffer, -1 without one.
 */
export function assemble(
  program: Program,
  { storage, zeroOutside }: { readonly storage: "texture" | "buffer"; readonly zeroOutside: boolean },
  dtypes: Readonly<Record<"reads" | "writes", readonly (keyof typeof TEXEL_FORMATS)[]>>,
  { staged, inPlace }: { readonly staged: readonly boolean[]; readonly inPlace: readonly number[] },
): Assembled {
  const { kernel } = program;
  const uniforms = new Uniforms();
  const size = kernel.workgroup ?? 64;
  const workgroups = grid(Math.ceil(kernel.threads / size));
  uniforms.add("i32", kernel.threads, "threads");
  uniforms.add("i32", workgroups[0] * size, "grid_x");
  const { ints = {}, inlined = [] } = kernel;
  for (const [name, value] of Object.entries(ints)) if (!inlined.includes(name)) uniforms.add("i32", value, name);
  for (const [name, value] of Object.entries(kernel.floats ?? {})) uniforms.add("f32", value, name);

  const texture = storage === "texture";
  const accessors = [
    ...Array.from({ length: program.reads }, (_, k) => {
      const write = itemAt(inPlace, k, "reads");
      const dtype = itemAt(dtypes.reads, k, "element types");
      return write < 0 ? readAccessor(k, dtype, texture) : inPlaceAccessor(k, write);
    }),
    ...kernel.writes.map((_, k) => {
      const dtype = itemAt(dtypes.writes, k, "element types");
      return writeAccessor(k, 1 + program.reads + k, dtype, texture && !staged[k]);
    }),
  ];
  const access = [...loadFunctions(program, uniforms, texture && zeroOutside), ...storeFunctions(program, uniforms)];
  const code = [
    uniforms.declaration(),
    "@group(0) @binding(0) var<uniform> u: Uniforms;",
    ...accessors.map(({ binding }) => binding),
    `const WG = ${size}u;`,
    "fn thread(id: vec3u) -> i32 { return i32(id.x) + i32(id.y) * u.grid_x; }",
    division(program),
    PIXEL,
    ...calledFunctions(program),
    ...accessors.map(({ access }) => access),
    ...access,
    inlined.reduce(
      (code, name) => code.replace(new RegExp(`\\bu\\.${name}\\b`, "g"), String(ints[name])),
      expand(kernel.source, kernel.constants ?? {}, kernel.label),
    ),
  ].join("\n");
  return { code, label: `${kernel.label}#${kernel.entry}`, uniforms: uniforms.bytes(), workgroups };
}
