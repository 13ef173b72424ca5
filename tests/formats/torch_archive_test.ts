import assert from "node:assert/strict";
import { InputError } from "../../formats/input_error.ts";
import { OPCODES, unpickle } from "../../formats/pickle.ts";
import type { PickleGlobal } from "../../formats/pickle_globals.ts";
import { PickledObject, runsCode } from "../../formats/pickle_globals.ts";
import { readTorchArchive } from "../../formats/torch_archive.ts";
import {
  bytesOf,
  dictionary,
  type Lies,
  little,
  name,
  pickle,
  sizes,
  tensor,
  text,
  torchFile,
  zip,
} from "./torch_file.ts";
import fc from "../fast_check.ts";

/** Runs with the path of a file in a folder of its own. */
async function withPath(run: (path: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await run(`${dir}/model.pth`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);
const NOTHING = { globals: new Map(), persistent: (id: unknown) => id };

/*
 * Written by PyTorch 2.13.0: torch.save of a dictionary with the state of a Linear(3, 2) and a BatchNorm1d(2) as `net`,
 * that of their optimizer, a parameter, tensors of several types, a transposed one and a cut one of arange(12) as 3 x 4,
 * and a Counter, a set, a size, a type, a device, numbers of numpy, integers of more than 32 and 64 bits.
 */
Deno.test("readTorchArchive() reads a file of PyTorch", async () => {
  using file = await readTorchArchive(new URL("torch_2_13.pth", import.meta.url).pathname);
  const read = async (name: string) => [...(await file.read(name)).data];
  assert.deepEqual(file.names.slice(0, 3), ["net.0.weight", "net.0.bias", "net.1.weight"]);
  assert.deepEqual(file.info("net.0.weight"), { dtype: "F32", shape: [2, 3] });
  assert.deepEqual(await read("net.0.bias"), [0.4968676269054413, -0.5599380731582642]);
  assert.deepEqual(file.info("net.1.num_batches_tracked"), { dtype: "I64", shape: [] });
  assert.deepEqual(await read("p"), [1, 1]);
  assert.deepEqual(await read("half"), [1, 2]);
  assert.deepEqual(await read("bf"), [1.5, -2]);
  assert.deepEqual(await read("bool"), [1, 0]);
  assert.deepEqual(await read("tr"), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
  assert.deepEqual(await read("view"), [6, 7, 10, 11]);
  assert.deepEqual((await file.readRaw("half")).bytes, new Uint8Array([0, 0x3c, 0, 0x40]));
  assert.throws(() => file.info("constructor"), /Cannot read tensor "constructor" of .*: it has \d+ others/);
});

Deno.test("readTorchArchive() gives back any tensors, whatever their strides", () =>
  withPath(async (path) => {
    const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(shape, fc.boolean(), fc.nat(3), async (shape, reversed, offset) => {
        const count = shape.reduce((a, b) => a * b, 1);
        const data = new Float32Array(offset + count).map((_, k) => k);
        const dense = (s: number[]) => s.map((_, k) => s.slice(k + 1).reduce((a, b) => a * b, 1));
        const strides = reversed ? dense(shape.toReversed()).reverse() : dense(shape);
        const parts = { key: "0", shape, offset, strides, elements: data.length };
        await Deno.writeFile(path, torchFile(dictionary([["x", tensor(parts)]]), { 0: new Uint8Array(data.buffer) }));
        using file = await readTorchArchive(path);
        const place = shape.map(() => 0);
        const expected = Array.from({ length: count }, () => {
          const at = offset + place.reduce((sum, p, k) => sum + p * strides[k]!, 0);
          for (let d = shape.length - 1; d >= 0 && ++place[d]! === shape[d]; d--) place[d] = 0;
          return at;
        });
        assert.deepEqual(await file.read("x"), { shape, data: new Float32Array(expected) });
      }),
      { numRuns: 100 },
    );
  }));

Deno.test("a class that a trainer left as a key is a key and no more", () =>
  withPath(async (path) => {
    const label = name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint");
    const callbacks = bytesOf("}(", label, dictionary([["best", tensor({ key: "0", shape: [1] })]]), "u");
    const state = dictionary([["w", tensor({ key: "1", shape: [1] })]]);
    const root = dictionary([["callbacks", callbacks], ["state_dict", state], ["type", name("torch", "float32")]]);
    await Deno.writeFile(path, torchFile(root, { 0: floats(1), 1: floats(2) }));
    using file = await readTorchArchive(path);
    assert.deepEqual(file.names, [
      "callbacks.pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint.best",
      "state_dict.w",
    ]);
    assert.deepEqual((await file.read("state_dict.w")).data, new Float32Array([2]));
  }));

Deno.test("unpickle() reads plain data", () => {
  const read = (...parts: (number | string | Uint8Array)[]) => unpickle(pickle(bytesOf(...parts)), NOTHING);
  assert.deepEqual(read("(K", 255, "M", little(65535, 2), "J", little(0xffffffff, 4), "Nt"), [255, 65535, -1, null]);
  assert.deepEqual(read("(", 0x88, 0x89, "t"), [true, false]);
  assert.deepEqual(read(0x8a, 0), 0);
  assert.deepEqual(read(0x8a, 2, 0xff, 0x7f), 32767);
  assert.deepEqual(read(0x8a, 9, little(0, 8), 1), 2n ** 64n);
  assert.deepEqual(read("G", new Uint8Array([0x3f, 0xf8, 0, 0, 0, 0, 0, 0])), 1.5);
  assert.deepEqual(read("](K", 1, "K", 2, "e"), [1, 2]);
  assert.deepEqual(read(text("é")), "é");
  assert.deepEqual(read(dictionary([["a", bytesOf("N")]])), new Map([["a", null]]));
  assert.deepEqual(read(name("collections", "Counter"), dictionary([]), 0x85, "R"), new Map());
  assert.deepEqual(read("K", 7, "q", 1, "h", 1, 0x86), [7, 7]);
});

Deno.test("a checkpoint that calls for code to be run is refused by name, and nothing is run", () =>
  withPath(async (path) => {
    const calls: [RegExp, Uint8Array][] = [
      [/"posix\.system", which runs code/, bytesOf(name("posix", "system"), text("touch x"), 0x85, "R")],
      [/"os\.system", which runs code/, bytesOf("(", text("touch x"), "ios\nsystem\n")],
      [/"builtins\.eval", which runs code/, bytesOf(text("builtins"), text("eval"), 0x93, text("1"), 0x85, "R")],
      [/"__builtin__\.getattr", which runs code/, bytesOf(name("__builtin__", "getattr"), ")R")],
      [/but "", which is "torch\.storage\._load_from_bytes"/, bytesOf(name("torch.storage", "_load_from_bytes"), ")R")],
      [
        /holds no tensor that can be read, but "x", which is "constructor\.prototype"/,
        bytesOf("}", text("x"), name("constructor", "prototype"), ")Rs"),
      ],
      [/calls torch\.float32, which is a value here/, bytesOf(name("torch", "float32"), ")R")],
      [/calls what is no name/, bytesOf(text("os.system"), ")R")],
      [/sets the state of what has none/, bytesOf("]", "}b")],
      [/the instruction 0x50, which plain data does not need/, bytesOf("Pid\n")],
    ];
    for (const [message, root] of calls) {
      await Deno.writeFile(path, torchFile(root));
      await assert.rejects(readTorchArchive(path), (error: Error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, /^Cannot read .*model\.pth as a PyTorch checkpoint: in data\.pkl, /);
        assert.match(error.message, message);
        return true;
      });
    }
  }));

Deno.test("an object of any class that is not known is its name, and nothing is made of it", () => {
  const word = fc.stringMatching(/^[a-z_]{1,12}(\.[a-z_]{1,8})?$/).filter((word) => !runsCode(word, ""));
  const make = fc.constantFrom([")R"], [")", 0x81], [")R}b"], [")}", 0x92], [")R(K", 1, "e"], [")R(K", 1, "K", 2, "u"]);
  fc.assert(fc.property(word, word, make, (module, label, make) => {
    const value = unpickle(pickle(bytesOf(name(module, label), ...make)), NOTHING);
    assert.ok(value instanceof PickledObject);
    assert.equal(value.label, `${module}.${label}`);
  }));
});

Deno.test("a tensor that claims more than its storage has is refused, however large the claim", () =>
  withPath(async (path) => {
    const huge = fc.integer({ min: 0, max: 2 ** 31 - 1 });
    const claim = fc.record({ shape: fc.array(huge, { maxLength: 5 }), stride: huge, offset: huge, elements: huge });
    await fc.assert(
      fc.asyncProperty(claim, async ({ shape, stride, offset, elements }) => {
        const parts = { key: "0", shape, strides: shape.map(() => stride), offset, elements };
        await Deno.writeFile(path, torchFile(dictionary([["x", tensor(parts)]]), { 0: floats(1, 2) }));
        try {
          using file = await readTorchArchive(path);
          assert.ok((await file.read("x")).data.length <= 2 ** 25);
        } catch (error) {
          assert.match((error as Error).message, /^Cannot read .* as a PyTorch checkpoint: in data\.pkl, /);
        }
      }),
      { numRuns: 60 },
    );
  }));

Deno.test("readTorchArchive() names what is wrong with a file", () =>
  withPath(async (path) => {
    const good = tensor({ key: "0", shape: [2] });
    const one = (root: Uint8Array, bytes = floats(1, 2)) => torchFile(dictionary([["x", root]]), { 0: bytes });
    const data: readonly [string, Uint8Array] = ["a/data.pkl", pickle(dictionary([["x", good]]))];
    const part = (lies: Lies) => zip([data, ["a/data/0", floats(1, 2), lies]]);
    const deep = bytesOf(...Array(40).fill(bytesOf("}", text("k"))), good, ...Array(40).fill("s"));
    const cases: [RegExp, Uint8Array][] = [
      [/it has no end of a zip archive/, new Uint8Array(3)],
      [/it has no end of a zip archive/, one(good).slice(0, -1)],
      [/it has 0 entries NAME\/data\.pkl/, zip([])],
      [/it has 2 entries NAME\/data\.pkl/, zip([["a/data.pkl", pickle(good)], ["b/data.pkl", pickle(good)]])],
      [/its byte order is "big"/, zip([data, ["a/byteorder", bytesOf("big")], ["a/data/0", floats(1, 2)]])],
      [/entry "a\/data\.pkl" is there twice/, zip([data, data])],
      [/entry "a\/data\/0" is compressed/, part({ method: 8 })],
      [/entry "a\/data\/0" is encrypted/, part({ flags: 1 })],
      [/entry "a\/data\/0" has 4294967294 bytes at \d+, beyond/, part({ size: 2 ** 32 - 2, packed: 2 ** 32 - 2 })],
      [/entry "a\/data\/0" lacks its sizes/, part({ size: 2 ** 32 - 1 })],
      [/entry "a\/data\/0" is stored as it is and has two sizes, 9 and 8/, part({ size: 9 })],
      [/entry "a\/data\/0" starts at byte 70000, outside the file/, part({ from: 70000 })],
      [/entry "a\/data\/0" has no header of its own at byte 0/, part({ from: 0 })],
      [/entry "a\/data\.pkl" does not have its checksum/, zip([["a/data.pkl", data[1], { crc: 1 }]])],
      [/storage "0" is not in the archive/, torchFile(dictionary([["x", good]]))],
      [/storage "0" has 4 bytes, which are not 2 elements of F32/, one(good, floats(1))],
      [/does not lie in its storage of 2 elements/, one(tensor({ key: "0", shape: [3], elements: 2 }))],
      [/does not lie in its storage/, one(tensor({ key: "0", shape: [2 ** 26], elements: 2, strides: [0] }))],
      [/does not lie in its storage of 2 elements/, one(tensor({ key: "0", shape: [2], offset: 1 }))],
      [
        /does not lie in its storage/,
        one(tensor({ key: "0", shape: [2 ** 30, 2 ** 30], elements: 2, strides: [0, 0] })),
      ],
      [/does not lie in its storage/, one(tensor({ key: "0", shape: [2], strides: [2 ** 31 - 1] }))],
      [/a tensor is not made of/, one(tensor({ key: "0", shape: [-1], elements: 2 }))],
      [/a tensor is not made of/, one(tensor({ key: "0", shape: [1], elements: 2, strides: [1, 1] }))],
      [
        /it holds no tensor that can be read, but "x", which is "torch\.ComplexFloatStorage"/,
        one(tensor({ key: "0", shape: [2], storage: "ComplexFloatStorage" })),
      ],
      [/a dictionary has the key "x" twice/, torchFile(dictionary([["x", good], ["x", good]]), { 0: floats(1, 2) })],
      [/two tensors are called "x\.y"/, twoNames(good)],
      [/it holds no tensor/, torchFile(bytesOf("}"))],
      [/it does not end/, zip([["a/data.pkl", bytesOf(0x80, 2, "}")]])],
      [/a string is not UTF-8/, torchFile(bytesOf(0x8c, 1, 0xff))],
      [/it ends within 4294967295 bytes/, torchFile(bytesOf("X", little(2 ** 32 - 1, 4)))],
      [/it ends within 1152921504606847000 bytes/, torchFile(bytesOf(0x8d, little(2n ** 60n, 8)))],
      [/an integer has 255 bytes/, torchFile(bytesOf(0x8a, 255, new Uint8Array(255)))],
      [/nothing is on its stack/, torchFile(bytesOf("0"))],
      [/no mark is on its stack/, torchFile(bytesOf("t"))],
      [/it recalls 9, which it never kept/, torchFile(bytesOf("h", 9))],
      [/containers lie more than 32 deep/, torchFile(deep, { 0: floats(1, 2) })],
      [/containers lie more than 32 deep/, torchFile(bytesOf("]q", 0, "h", 0, "a"))],
    ];
    for (const [message, bytes] of cases) {
      await Deno.writeFile(path, bytes);
      await assert.rejects(readTorchArchive(path), (error: Error) => {
        assert.match(error.message, message);
        assert.match(error.message, /^Cannot read .*model\.pth as a PyTorch checkpoint: /);
        return true;
      });
    }
  }));

function twoNames(value: Uint8Array): Uint8Array {
  return torchFile(dictionary([["x", dictionary([["y", value]])], ["x.y", value]]), { 0: floats(1, 2) });
}

Deno.test("readTorchArchive() reads archives with fields of 64 bits", () =>
  withPath(async (path) => {
    const root = pickle(dictionary([["x", tensor({ key: "0", shape: [2] })]]));
    const bytes = zip([["a/data.pkl", root], ["a/data/0", floats(3, 4)]], true);
    await Deno.writeFile(path, bytes);
    {
      using file = await readTorchArchive(path);
      assert.deepEqual([...(await file.read("x")).data], [3, 4]);
    }
    // The place of the end, from the locator in front of the last record.
    bytes.set(little(2n ** 60n, 8), bytes.length - 22 - 12);
    await Deno.writeFile(path, bytes);
    await assert.rejects(
      readTorchArchive(path),
      /its end is said to be at byte 1152921504606847000, outside the file/,
    );
  }));

Deno.test("a pickle whose lists hold each other many times is refused soon", () =>
  withPath(async (path) => {
    // Each list holds the one before ten times: ten to the thirtieth values from a few hundred bytes.
    const root = Array.from({ length: 30 }, (_, k) => bytesOf("](", ...Array(10).fill(bytesOf("h", k)), "eq", k + 1));
    await Deno.writeFile(path, torchFile(bytesOf("]q", 0, ...root)));
    await assert.rejects(readTorchArchive(path), /its containers hold more than 1000000 values/);
  }));

Deno.test("a flipped bit is found by the checksum", () =>
  withPath(async (path) => {
    const whole = torchFile(dictionary([["x", tensor({ key: "0", shape: [1000] })]]), { 0: new Uint8Array(4000) });
    const at = whole.findLastIndex((byte, k) => byte === 0 && whole[k - 500] === 0) - 600;
    whole[at]! ^= 4;
    await Deno.writeFile(path, whole);
    using file = await readTorchArchive(path);
    await assert.rejects(file.read("x"), /Cannot read tensor "x" of .*: its bytes do not have the archive's checksum/);
  }));

Deno.test("readTorchArchive() accepts or names any damage, and never fails otherwise", () =>
  withPath(async (path) => {
    const beside = bytesOf(name("argparse", "Namespace"), ")", 0x81, dictionary([["lr", bytesOf("K", 1)]]), "b");
    const entries = [["x", tensor({ key: "0", shape: [2] })], ["y", sizes([1, 2])], ["z", beside]] as const;
    const root = pickle(dictionary(entries));
    const damage = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.nat(5), inside: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(damage, async ({ at, byte, cut, inside }) => {
        // Inside the pickle a checksum would hide what the reader of pickles makes of it.
        const flipped = root.slice();
        if (inside) flipped[at % root.length] = byte;
        const bytes = zip([["a/data.pkl", flipped], ["a/data/0", floats(1, 2)]]);
        if (!inside) bytes[at % bytes.length] = byte;
        await Deno.writeFile(path, cut ? bytes : bytes.slice(0, at % bytes.length));
        try {
          using file = await readTorchArchive(path);
          for (const name of file.names) await file.read(name);
        } catch (error) {
          assert.match((error as Error).message, /^Cannot read (.* as a PyTorch checkpoint|tensor ".*" of .*): /s);
        }
      }),
      { numRuns: 1000 },
    );
  }));

Deno.test("unpickle() ends on any bytes with a value or a PickleError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        unpickle(new Uint8Array(bytes), NOTHING);
      } catch (error) {
        assert.equal((error as Error).name, "PickleError");
      }
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("unpickle() ends on any program of its instructions with a value or a PickleError", () => {
  assert.equal(new Set(OPCODES.map(([, code]) => code)).size, OPCODES.length, "each code is one instruction's");
  const byte = fc.nat(255).map((byte) => [byte]);
  const code = fc.constantFrom(...OPCODES.map(([, code]) => [code]));
  const piece = fc.constantFrom(
    ...[
      "ctorch\nx\n",
      "ctorch\ny\n",
      "cargparse\nNamespace\n",
      "ccopy_reg\n_reconstructor\n",
      "\x8c\x05torch",
      "\x8c\x01x",
      "\x8c\x01a",
      "K\x07",
      "cnumpy\ndtype\n",
    ]
      .map((text) => [...text].map((char) => char.charCodeAt(0))),
  );
  const part = fc.oneof({ weight: 5, arbitrary: code }, { weight: 4, arbitrary: piece }, {
    weight: 1,
    arbitrary: byte,
  });
  const globals = new Map<string, PickleGlobal>([["torch.x", { call: (args) => args.length }], ["torch.y", {}]]);
  let values = 0;
  fc.assert(
    fc.property(fc.array(part, { maxLength: 16 }), (parts) => {
      try {
        unpickle(new Uint8Array([...parts.flat(), 0x2e]), { globals, persistent: (id) => id });
        values++;
      } catch (error) {
        assert.equal((error as Error).name, "PickleError", `${error}`);
      }
    }),
    { numRuns: 20_000 },
  );
  assert.ok(values > 100, `${values} programs are whole`);
});
