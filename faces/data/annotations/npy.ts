import { InputError } from "../../../formats/input_error.ts";
import { type ImageFormat, stem, toLandmarks } from "./format.ts";

const NPY = "\x93NUMPY";
/** Readers of NumPy's element types. */
const NPY_TYPES: Readonly<Record<string, readonly [bytes: number, read: (view: DataView, at: number) => number]>> = {
  "<f4": [4, (view, at) => view.getFloat32(at, true)],
  "<f8": [8, (view, at) => view.getFloat64(at, true)],
  "<i4": [4, (view, at) => view.getInt32(at, true)],
  "<i8": [8, (view, at) => Number(view.getBigInt64(at, true))],
};

/**
 * NumPy arrays `[P, 2]` of f4, f8, i4 or i8, as CariFace has them: `images/1.jpg` with `landmarks/1.jpg.npy`.
 *
 * Source: numpy.lib.format, versions 1 to 3; Juyong/CaricatureFace, datagen.py.
 */
export const npy: ImageFormat = {
  name: "npy",
  doc: "a NumPy file [landmarks, 2] beside each image or in ../landmarks, as CariFace",
  perImage: true,
  files(image) {
    const names = [`${stem(image)}.npy`, `${image}.npy`];
    return [...names, ...names.map((name) => `../landmarks/${name}`)];
  },
  parse(bytes, context) {
    const { name, schema } = context;
    const fail = (problem: string): never => {
      throw new InputError(`Cannot read ${name}: ${problem}`);
    };
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const magic = [...bytes.subarray(0, 6)].map((byte) => String.fromCharCode(byte)).join("");
    if (magic !== NPY || bytes.length < 12) return fail("it is no NumPy file");
    const start = bytes[6] === 1 ? 10 : 12;
    const end = start + (bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
    const header = new TextDecoder().decode(bytes.subarray(start, end));
    const descr = /'descr': *'([^']*)'/.exec(header)?.[1] ?? "";
    const shape = /'shape': *\(([^)]*)\)/.exec(header)?.[1] ?? "";
    const [size, read] = NPY_TYPES[descr] ??
      fail(`its elements are "${descr}", not ${Object.keys(NPY_TYPES).join(", ")}`);
    if (shape.replaceAll(" ", "") !== `${schema.count},2`) {
      return fail(`its shape is (${shape}) instead of (${schema.count}, 2)`);
    }
    if (bytes.length !== end + 2 * schema.count * size) {
      return fail(`it has ${bytes.length} bytes instead of ${end + 2 * schema.count * size}`);
    }
    const columns = header.includes("'fortran_order': True");
    const values = Array.from({ length: 2 * schema.count }, (_, k) => {
      const place = columns ? (k % 2) * schema.count + (k >> 1) : k;
      return read(view, end + place * size);
    });
    try {
      return toLandmarks(values, context);
    } catch (error) {
      return fail((error as Error).message);
    }
  },
};
