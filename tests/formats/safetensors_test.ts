import assert from "node:assert/strict";
import { InputError } from "../../formats/input_error.ts";
import type { SafetensorsDtype } from "../../formats/elements.ts";
import { readSafetensors, writeSafetensors } from "../../formats/safetensors.ts";
import fc from "../fast_check.ts";

/** Runs with the path of a file in a folder of its own. */
async function withPath(run: (path: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await run(`${dir}/model.safetensors`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A file's bytes from any header, true or false, and the bytes behind it. */
function fileOf(header: unknown, data: Uint8Array = new Uint8Array(0), length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const entry = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

Deno.test("writeSafetensors() and readSafetensors() give back what was written", () =>
  withPath(async (path) => {
    const shapes = fc.array(fc.nat(4), { maxLength: 4 });
    const tensors = fc.dictionary(fc.string().filter((name) => name !== "__metadata__"), shapes, { maxKeys: 5 });
    const metadata = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 });
    await fc.assert(
      fc.asyncProperty(tensors, metadata, async (shapesByName, metadata) => {
        let next = 0;
        const written = new Map(
          Object.entries(shapesByName).map(([name, shape]) => {
            const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map(() => next++ / 8);
            return [name, { shape, data }];
          }),
        );
        for (const dtype of ["F32", "F16"] as const) {
          await writeSafetensors(path, written, { dtype, metadata });
          using file = await readSafetensors(path);
          assert.deepEqual(file.names.toSorted(), [...written.keys()].sort());
          assert.deepEqual({ ...file.metadata }, { ...metadata });
          for (const [name, tensor] of written) {
            assert.deepEqual(file.info(name), { dtype, shape: tensor.shape });
            assert.deepEqual(await file.read(name), tensor);
          }
        }
      }),
      { numRuns: 50 },
    );
  }));

Deno.test("writeSafetensors() gives the same bytes for another order and leaves nothing beside", () =>
  withPath(async (path) => {
    const a = { shape: [2], data: new Float32Array([1, 2]) }, b = { shape: [], data: new Float32Array([3]) };
    await writeSafetensors(path, new Map([["a", a], ["b", b]]));
    const first = await Deno.readFile(path);
    await writeSafetensors(path, new Map([["b", b], ["a", a]]));
    assert.deepEqual(await Deno.readFile(path), first);
    assert.equal(Number(new DataView(first.buffer).getBigUint64(0, true)) % 8, 0);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(path.replace(/[^/]*$/, "")), (e) => e.name), [
      "model.safetensors",
    ]);
  }));

Deno.test("writeSafetensors() writes a view's own elements", () =>
  withPath(async (path) => {
    await writeSafetensors(path, new Map([["x", { shape: [2], data: new Float32Array([0, 1, 2, 3]).subarray(1, 3) }]]));
    using file = await readSafetensors(path);
    assert.deepEqual([...(await file.read("x")).data], [1, 2]);
  }));

Deno.test("writeSafetensors() refuses bad tensors and keeps the file that was there", () =>
  withPath(async (path) => {
    const write = (name: string, shape: number[], values: number[], dtype: "F32" | "F16" = "F32") =>
      writeSafetensors(path, new Map([[name, { shape, data: new Float32Array(values) }]]), { dtype });
    await write("old", [1], [5]);
    await assert.rejects(write("x", [3], [1, 2]), /Cannot write tensor "x" .*: shape \[3\] does not hold 2 elements/);
    await assert.rejects(write("__metadata__", [1], [1]), /keeps that name for metadata/);
    await assert.rejects(write("x", [2], [1, 65520], "F16"), /as F16: element 1 is 65520, beyond 65504, hint: use F32/);
    await assert.rejects(Deno.stat(`${path}.tmp`), Deno.errors.NotFound);
    using file = await readSafetensors(path);
    assert.deepEqual([...(await file.read("old")).data], [5]);
  }));

Deno.test("writeSafetensors() keeps infinities and NaN in F16", () =>
  withPath(async (path) => {
    const data = new Float32Array([Infinity, -Infinity, NaN, 65504]);
    await writeSafetensors(path, new Map([["x", { shape: [4], data }]]), { dtype: "F16" });
    using file = await readSafetensors(path);
    assert.deepEqual((await file.read("x")).data, data);
  }));

Deno.test("read() turns every type into f32", () =>
  withPath(async (path) => {
    const cases: [SafetensorsDtype, ArrayBufferView, number[]][] = [
      ["BOOL", new Uint8Array([0, 1, 2]), [0, 1, 1]],
      ["U8", new Uint8Array([0, 255]), [0, 255]],
      ["I8", new Int8Array([-128, 127]), [-128, 127]],
      ["U16", new Uint16Array([65535]), [65535]],
      ["I16", new Int16Array([-32768]), [-32768]],
      ["U32", new Uint32Array([2 ** 31]), [2 ** 31]],
      ["I32", new Int32Array([-5]), [-5]],
      ["U64", new BigUint64Array([2n ** 40n]), [2 ** 40]],
      ["I64", new BigInt64Array([-7n]), [-7]],
      ["F16", new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7c00]), [1, -2, 2 ** -24, Infinity]],
      ["BF16", new Uint16Array([0x3f80, 0xc040, 0xff80]), [1, -3, -Infinity]],
      ["F32", new Float32Array([1.5]), [1.5]],
      ["F64", new Float64Array([0.1]), [Math.fround(0.1)]],
    ];
    for (const [dtype, view, expected] of cases) {
      const data = new Uint8Array(view.buffer);
      await Deno.writeFile(path, fileOf({ x: entry(dtype, [expected.length], 0, data.length) }, data));
      using file = await readSafetensors(path);
      assert.deepEqual([...(await file.read("x")).data], expected, dtype);
      assert.deepEqual(await file.readRaw("x"), { dtype, shape: [expected.length], bytes: data });
    }
  }));

Deno.test("reads of one file at a time do not disturb each other", () =>
  withPath(async (path) => {
    const tensors = new Map(
      Array.from({ length: 20 }, (_, i) => [`t${i}`, { shape: [1000], data: new Float32Array(1000).fill(i) }]),
    );
    await writeSafetensors(path, tensors);
    using file = await readSafetensors(path);
    const read = await Promise.all(file.names.map(async (name) => [name, await file.read(name)] as const));
    for (const [name, tensor] of read) assert.deepEqual(tensor, tensors.get(name));
  }));

Deno.test("readSafetensors() names what is wrong with a file", () =>
  withPath(async (path) => {
    const four = new Uint8Array(4);
    const cases: [RegExp, Uint8Array][] = [
      [/it has 3 bytes, fewer than the 8/, new Uint8Array(3)],
      [/its header claims 18446744073709552000 bytes and the file has/, fileOf({}, four, 2n ** 64n - 1n)],
      [/its header claims 99000000 bytes and the file has/, fileOf({}, four, 99000000n)],
      [/its header is not JSON/, fileOf("{")],
      [/its header is not JSON/, fileOf("")],
      [
        /its header is not JSON/,
        (() => {
          const bytes = fileOf('{"?":1}');
          bytes[10] = 0xff;
          return bytes;
        })(),
      ],
      [/its header is not a JSON object/, fileOf("[]")],
      [/its header is not a JSON object/, fileOf("null")],
      [/"x" is not a JSON object/, fileOf({ x: 1 })],
      [/"__metadata__" has a value that is not text/, fileOf({ __metadata__: { a: 1 } })],
      [/"x" has dtype "F8": it must be one of BOOL, /, fileOf({ x: entry("F8", [4], 0, 4) }, four)],
      [/"x" has dtype "toString"/, fileOf({ x: entry("toString", [4], 0, 4) }, four)],
      [/"x" has dtype undefined/, fileOf({ x: { shape: [1], data_offsets: [0, 4] } }, four)],
      [/"x" has shape \[-1\]/, fileOf({ x: entry("F32", [-1], 0, 4) }, four)],
      [/"x" has shape \[1.5\]/, fileOf({ x: entry("F32", [1.5], 0, 4) }, four)],
      [/"x" has shape "4"/, fileOf({ x: { ...entry("U8", [4], 0, 4), shape: "4" } }, four)],
      [/"x" has data_offsets \[0\]/, fileOf({ x: { ...entry("F32", [1], 0, 4), data_offsets: [0] } }, four)],
      [/"x" has data_offsets \[-4,0\]/, fileOf({ x: entry("F32", [1], -4, 0) }, four)],
      [
        /"x" takes 8 bytes as F32 \[2\], its data_offsets \[0, 4\] do not/,
        fileOf({ x: entry("F32", [2], 0, 4) }, four),
      ],
      [
        /"x" takes 4 bytes as F32 \[1\], its data_offsets \[4, 0\] do not/,
        fileOf({ x: entry("F32", [1], 4, 0) }, four),
      ],
      [/"x" takes 36\d+ bytes/, fileOf({ x: entry("F32", [2 ** 53 - 1, 10, 10], 0, 4) }, four)],
      [/"x" takes NaN bytes/, fileOf({ x: entry("F32", [...Array(30).fill(2 ** 50), 0], 0, 0) })],
      [/"x" ends at byte \d+ and the file has \d+, hint/, fileOf({ x: entry("F32", [4096], 0, 16384) }, four)],
      [/"y" overlaps "x"/, fileOf({ x: entry("F32", [1], 0, 4), y: entry("U8", [2], 2, 4) }, four)],
      [/"y" leaves a hole behind "x"/, fileOf({ x: entry("U8", [1], 0, 1), y: entry("U8", [2], 2, 4) }, four)],
      [/"x" leaves a hole behind the header/, fileOf({ x: entry("U8", [2], 2, 4) }, four)],
      [/its tensors end at byte \d+ and the file has/, fileOf({ x: entry("U8", [2], 0, 2) }, four)],
      [/its header has "x" twice/, fileOf('{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0078" :{}}')],
      [/its header has "shape" twice/, fileOf('{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"shape":[1]}}')],
    ];
    for (const [message, bytes] of cases) {
      await Deno.writeFile(path, bytes);
      await assert.rejects(readSafetensors(path), (error: Error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, /^Cannot read .*model\.safetensors as safetensors: /);
        assert.match(error.message, message);
        return true;
      });
    }
  }));

Deno.test("readSafetensors() accepts or names any damage, and never fails otherwise", () =>
  withPath(async (path) => {
    const whole = fileOf(
      { __metadata__: { a: "b" }, x: entry("F32", [1, 2], 0, 8), y: entry("F16", [2], 8, 12) },
      new Uint8Array(12),
    );
    const damage = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255), cut: fc.nat(3) });
    await fc.assert(
      fc.asyncProperty(damage, async ({ at, byte, cut }) => {
        const bytes = whole.slice(0, cut === 0 ? at : whole.length);
        if (cut !== 0) bytes[at] = byte;
        await Deno.writeFile(path, bytes);
        try {
          using file = await readSafetensors(path);
          for (const name of file.names) await file.read(name);
        } catch (error) {
          assert.match((error as Error).message, /^Cannot read .* as safetensors: /);
        }
      }),
      { numRuns: 300 },
    );
  }));

Deno.test("readSafetensors() refuses any claim that the file does not keep", () =>
  withPath(async (path) => {
    const size = fc.oneof(fc.nat(40), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
    const one = fc.record({
      dtype: fc.constantFrom("F32", "F16", "BF16", "I64", "U8", "F8_E4M3", "C64"),
      shape: fc.array(size, { maxLength: 3 }),
      data_offsets: fc.array(size, { minLength: 2, maxLength: 2 }),
    });
    const header = fc.dictionary(fc.constantFrom("a", "b", "c"), one);
    const length = fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(header, length, async (header, length) => {
        await Deno.writeFile(path, fileOf(header, new Uint8Array(40), length));
        try {
          using file = await readSafetensors(path);
          const bytes = await Promise.all(file.names.map(async (name) => (await file.readRaw(name)).bytes.length));
          assert.equal(bytes.reduce((a, b) => a + b, 0), 40);
        } catch (error) {
          assert.match((error as Error).message, /^Cannot read .* as safetensors: /);
        }
      }),
      { numRuns: 200 },
    );
  }));

Deno.test("readSafetensors() takes a header of megabytes", () =>
  withPath(async (path) => {
    const text = 'a"\\'.repeat(1_000_000);
    await writeSafetensors(path, new Map(), { metadata: { text } });
    using file = await readSafetensors(path);
    assert.equal(file.metadata.text, text);
  }));

Deno.test("writeSafetensors() reads what is not in memory, one tensor at a time", () =>
  withPath(async (path) => {
    let open = 0;
    const source = (value: number) => ({
      shape: [2],
      async read() {
        assert.equal(open++, 0);
        await new Promise((resolve) => setTimeout(resolve, 1));
        open--;
        return new Float32Array(2).fill(value);
      },
    });
    await writeSafetensors(path, new Map([["a", source(1)], ["b", source(2)]]), { dtype: "F16" });
    using file = await readSafetensors(path);
    assert.deepEqual(await file.read("b"), { shape: [2], data: new Float32Array([2, 2]) });
    const short = { shape: [2], read: () => Promise.resolve(new Float32Array(1)) };
    await assert.rejects(writeSafetensors(path, new Map([["a", short]])), /shape \[2\] does not hold 1 elements/);
    assert.deepEqual((await file.read("a")).data, new Float32Array([1, 1]));
  }));

Deno.test("single tensors of a file of 3 GB are read in little memory", () =>
  withPath(async (path) => {
    const [count, bytes] = [96, 2 ** 25];
    const header = fileOf(Object.fromEntries(
      Array.from({ length: count }, (_, k) => [`t${k}`, entry("BF16", [bytes / 2], k * bytes, (k + 1) * bytes)]),
    ));
    await Deno.writeFile(path, header);
    try {
      // Nothing but holes, which need no room on most disks.
      await Deno.truncate(path, header.length + count * bytes);
      if ((await Deno.stat(path)).blocks! > 2 ** 16) return;
    } catch {
      return; // The disk has no room for it.
    }
    {
      using last = await Deno.open(path, { write: true });
      await last.seek(-2, Deno.SeekMode.End);
      await last.write(new Uint8Array([0xc0, 0x3f]));
    }
    const before = Deno.memoryUsage().rss;
    let most = 0;
    using file = await readSafetensors(path);
    for (const name of ["t0", "t47", "t94", "t95"]) {
      const { data } = await file.read(name);
      assert.equal(data.length, bytes / 2);
      assert.equal(data.at(-1), name === "t95" ? 1.5 : 0);
      most = Math.max(most, Deno.memoryUsage().rss - before);
    }
    assert.ok(most < 500e6, `${most} bytes`);
  }));

Deno.test("a file has no tensor of another name, not even one of Object's", () =>
  withPath(async (path) => {
    await writeSafetensors(path, new Map([["__proto__", { shape: [], data: new Float32Array([1]) }]]));
    using file = await readSafetensors(path);
    assert.deepEqual(file.names, ["__proto__"]);
    assert.equal(file.has("toString"), false);
    assert.throws(() => file.info("toString"), /Cannot read tensor "toString" of .*: it has 1 other/);
    await assert.rejects(file.read("toString"), InputError);
  }));

const golden = new URL("../../../shared/golden/ops-a.safetensors", import.meta.url);
const hasGolden = await Deno.stat(golden).then(() => true, () => false);
Deno.test({
  name: "readSafetensors() opens a file of the reference implementation (needs ../shared)",
  ignore: !hasGolden,
  async fn() {
    using file = await readSafetensors(golden.pathname);
    assert.ok(file.names.length > 0);
    for (const name of file.names) {
      const { shape, data } = await file.read(name);
      assert.equal(data.length, shape.reduce((a, b) => a * b, 1));
    }
  },
});
