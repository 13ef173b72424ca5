/**
 * Writes checkpoints that PyTorch's `torch.load` opens: a zip archive of a pickle and of the tensors' bytes.
 *
 * Source: torch/serialization.py and caffe2/serialize/inline_container.cc at v2.13.0; PEP 307, pickle protocol 2.
 *
 * @module
 */

import { crc32 } from "./crc32.ts";
import { writing } from "./files.ts";
import { InputError } from "./input_error.ts";

/** A tensor, row-major; one that is there twice is written once. */
export interface TorchTensor {
  /** Sizes; none for a scalar. */
  readonly shape: readonly number[];
  /** FloatTensor or LongTensor. */
  readonly data: Float32Array | BigInt64Array;
}

/** Content of a checkpoint: tensors and whole numbers under names, in an `OrderedDict` each. */
export type TorchValue = number | TorchTensor | ReadonlyMap<string, TorchValue>;

const LOCAL = 0x04034b50, ENTRY = 0x02014b50, END = 0x06054b50;
/** The archive's folder, and where PyTorch wants the bytes of a tensor to start: for `mmap`. */
const FOLDER = "archive", ALIGNMENT = 64;

/**
 * Writes a checkpoint; the file appears when it is whole.
 *
 * @throws {InputError} If it would have more than 4 GiB.
 */
export async function writeTorchArchive(path: string, root: ReadonlyMap<string, TorchValue>): Promise<void> {
  const storages = new Map<TorchTensor["data"], string>();
  const text = new TextEncoder();
  const entries: { name: string; bytes: Uint8Array }[] = [
    { name: "data.pkl", bytes: pickle(root, storages) },
    { name: "byteorder", bytes: text.encode("little") },
    ...[...storages].map(([data, key]) => ({
      name: `data/${key}`,
      bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    })),
    { name: "version", bytes: text.encode("3\n") },
  ];
  const total = entries.reduce((sum, { bytes }) => sum + bytes.length + 2 * ALIGNMENT, 0);
  if (total > 0xffffffff) throw new InputError(`Cannot write ${path}: it would have ${total} bytes, more than 4 GiB`);

  const unfinished = `${path}.tmp`;
  await writing(path, async () => {
    using file = await Deno.open(unfinished, { write: true, create: true, truncate: true });
    const directory: Uint8Array[] = [];
    let at = 0;
    const put = async (bytes: Uint8Array) => {
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      at += bytes.length;
    };
    for (const { name, bytes } of entries) {
      const label = text.encode(`${FOLDER}/${name}`);
      const begin = at;
      // An extra field "FB" of padding lets the bytes start at a multiple of 64.
      const bare = begin + 30 + label.length + 4;
      const extra = joined(u16(0x4246), u16(-bare & (ALIGNMENT - 1)), new Uint8Array(-bare & (ALIGNMENT - 1)));
      const common = [u32(crc32(bytes)), u32(bytes.length), u32(bytes.length), u16(label.length)];
      const stored = joined(u16(0), u16(0), u16(0), u32(0), ...common);
      await put(joined(u32(LOCAL), stored, u16(extra.length), label, extra));
      await put(bytes);
      directory.push(joined(u32(ENTRY), u16(0), stored, u16(0), u16(0), u16(0), u16(0), u32(0), u32(begin), label));
    }
    const listed = joined(...directory);
    const counts = [u16(0), u16(0), u16(entries.length), u16(entries.length)];
    await put(joined(listed, u32(END), ...counts, u32(listed.length), u32(at), u16(0)));
    await file.sync();
    await Deno.rename(unfinished, path);
  });
}

/** The pickle of a value; tensors' elements get keys in `storages`. */
function pickle(root: ReadonlyMap<string, TorchValue>, storages: Map<TorchTensor["data"], string>): Uint8Array {
  const text = new TextEncoder();
  const parts: Uint8Array[] = [];
  const op = (code: string, ...bytes: Uint8Array[]) => void parts.push(text.encode(code), ...bytes);
  const global = (module: string, name: string) => op(`c${module}\n${name}\n`);
  const string = (value: string) => {
    const bytes = text.encode(value);
    op("X", u32(bytes.length), bytes);
  };
  const sizes = (values: readonly number[]) => {
    op("(");
    for (const value of values) op("J", u32(value));
    op("t");
  };
  const tensor = ({ shape, data }: TorchTensor) => {
    let key = storages.get(data);
    if (key === undefined) storages.set(data, key = String(storages.size));
    global("torch._utils", "_rebuild_tensor_v2");
    op("((");
    string("storage");
    global("torch", data instanceof Float32Array ? "FloatStorage" : "LongStorage");
    string(key);
    string("cpu");
    op("J", u32(data.length));
    op("tQJ", u32(0));
    sizes(shape);
    sizes(shape.map((_, k) => shape.slice(k + 1).reduce((a, b) => a * b, 1)));
    parts.push(Uint8Array.of(0x89)); // needs no gradient
    global("collections", "OrderedDict");
    op(")RtR");
  };
  const put = (value: TorchValue) => {
    if (typeof value === "number") op("J", u32(value));
    else if ("data" in value) tensor(value);
    else {
      global("collections", "OrderedDict");
      op(")R(");
      for (const [name, inner] of value) {
        string(name);
        put(inner);
      }
      op("u");
    }
  };
  parts.push(Uint8Array.of(0x80, 2));
  put(root);
  op(".");
  return joined(...parts);
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const u16 = (value: number) => new Uint8Array(Uint16Array.of(value).buffer);
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
