import { InputError } from "../../../formats/input_error.ts";
import type { Landmarks } from "../../landmarks.ts";
import { baseName, besideFolder, type ImageContext, type ImageFormat, inFile, stem, toLandmarks } from "./format.ts";

const NPY = "\x93NUMPY";
/** Readers of NumPy's element types. */
const NPY_TYPES: Readonly<Record<string, readonly [bytes: number, read: (view: DataView, at: number) => number]>> = {
  "<f4": [4, (view, at) => view.getFloat32(at, true)],
  "<f8": [8, (view, at) => view.getFloat64(at, true)],
  "<i4": [4, (view, at) => view.getInt32(at, true)],
  "<i8": [8, (view, at) => Number(view.getBigInt64(at, true))],
};

/** True if a file begins as NumPy's do. */
export function isNpy(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(0, 6)) === NPY;
}

/** Paths of an image's `NAME.npy` or `NAME.jpg.npy`, beside it and in other folders next to its own. */
export function npyFiles(image: string, folders: readonly string[]): string[] {
  const names = [`${stem(image)}.npy`, `${image}.npy`];
  return [...names, ...folders.flatMap((folder) => names.map((name) => besideFolder(image, folder, baseName(name))))];
}

/**
 * Reads an array `[P, 2]`, or `[P, 3]` of which the last column is left out.
 *
 * Source: numpy.lib.format, versions 1 to 3.
 */
export function parseNpy(bytes: Uint8Array<ArrayBuffer>, context: ImageContext): Landmarks {
  return inFile(context.name, () => {
    const { count } = context.schema;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!isNpy(bytes) || bytes.length < 12) throw new InputError("it is no NumPy file");
    const start = bytes[6] === 1 ? 10 : 12;
    const end = start + (bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
    const header = new TextDecoder().decode(bytes.subarray(start, end));
    const descr = /'descr': *'([^']*)'/.exec(header)?.[1] ?? "";
    const shape = (/'shape': *\(([^)]*)\)/.exec(header)?.[1] ?? "").replaceAll(" ", "");
    const type = NPY_TYPES[descr];
    if (!type) throw new InputError(`its elements are "${descr}", not ${Object.keys(NPY_TYPES).join(", ")}`);
    const [size, read] = type;
    const width = shape === `${count},3` ? 3 : 2;
    if (shape !== `${count},${width}`) {
      throw new InputError(`its shape is (${shape.replaceAll(",", ", ")}) instead of (${count}, 2)`);
    }
    if (bytes.length !== end + width * count * size) {
      throw new InputError(`it has ${bytes.length} bytes instead of ${end + width * count * size}`);
    }
    const columns = header.includes("'fortran_order': True");
    const values = Array.from({ length: 2 * count }, (_, k) => {
      const [point, axis] = [k >> 1, k % 2];
      return read(view, end + (columns ? axis * count + point : width * point + axis) * size);
    });
    return toLandmarks(values, context);
  });
}

/** NumPy arrays of f4, f8, i4 or i8. */
export const npy: ImageFormat = {
  name: "npy",
  doc: "a NumPy file [landmarks, 2] beside each image or in ../landmarks",
  perImage: true,
  files: (image) => npyFiles(image, ["landmarks"]),
  parse: (bytes, context) => [parseNpy(bytes, context)],
};

/**
 * CariFace in both layouts: `testset/images/1.jpg` with `testset/landmarks_gt/1.jpg.npy`, whose `landmarks/1_l.npy` are
 * predictions of its authors, and `images/00005.jpg` with `landmarks/00005.jpg.npy`.
 *
 * Source: Juyong/CaricatureFace, cal_error/cal_error.py; plustwo0/generalized-face-landmarker, data/Cartoon.py.
 */
export const cariface: ImageFormat = {
  name: "cariface",
  doc: "CariFace's NumPy files in ../landmarks_gt or ../landmarks",
  perImage: true,
  others: { files: /(^|\/)landmarks\/[^/]*_l\.npy$/, rule: "predictions of CariFace's authors" },
  files: (image) => npyFiles(image, ["landmarks_gt", "landmarks"]),
  parse: (bytes, context) => [parseNpy(bytes, context)],
};
