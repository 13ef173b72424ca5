import assert from "node:assert/strict";
import { type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { readParameters } from "../../../models/io/parameter_files.ts";
import { openNetworkTensors, openTensors } from "../../../models/io/tensor_files.ts";
import { Graph } from "../../../engine/graph.ts";
import { writeSafetensors } from "../../../formats/safetensors.ts";
import { bytesOf, dictionary, pickle, tensor, torchFile } from "../../formats/torch_file.ts";

async function withFolder(run: (dir: string) => Promise<void>) {
  const dir = await Deno.makeTempDir();
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const values = (...data: number[]) => ({ shape: [data.length], data: new Float32Array(data) });
const index = (weight_map: unknown) => JSON.stringify({ metadata: { total_size: 1 }, weight_map });

Deno.test("openNetworkTensors() reads one file, shards, and PyTorch's, the first that is there", () =>
  withFolder(async (dir) => {
    const read = async () => {
      using file = await openNetworkTensors(dir);
      const tensors = await Promise.all(file.names.map(async (name) => [name, [...(await file.read(name)).data]]));
      return Object.fromEntries(tensors);
    };
    await assert.rejects(
      read(),
      /Cannot read the weights in .*: it has none of diffusion_pytorch_model\.safetensors, /,
    );
    const bytes = new Uint8Array(new Float32Array([7]).buffer);
    const torch = torchFile(dictionary([["c", tensor({ key: "0", shape: [1] })]]), { 0: bytes });
    await Deno.writeFile(`${dir}/pytorch_model.bin`, torch);
    assert.deepEqual(await read(), { c: [7] });

    await writeSafetensors(`${dir}/model-1-of-2.safetensors`, new Map([["a", values(1)]]));
    await writeSafetensors(`${dir}/model-2-of-2.safetensors`, new Map([["b", values(2, 3)]]), { dtype: "F16" });
    const map = { a: "model-1-of-2.safetensors", b: "model-2-of-2.safetensors" };
    await Deno.writeTextFile(`${dir}/model.safetensors.index.json`, index(map));
    assert.deepEqual(await read(), { a: [1], b: [2, 3] });

    await writeSafetensors(`${dir}/model.safetensors`, new Map([["d", values(4)]]));
    assert.deepEqual(await read(), { d: [4] });
  }));

Deno.test("an index of shards that is wrong is refused, and leads nowhere else", () =>
  withFolder(async (dir) => {
    await writeSafetensors(`${dir}/one.safetensors`, new Map([["a", values(1)], ["b", values(2)]]));
    const path = `${dir}/model.safetensors.index.json`;
    const cases: [RegExp, string][] = [
      [/it is not JSON/, "{"],
      [/it has no weight_map/, "{}"],
      [
        /"a" is in "\.\.\/one\.safetensors", which is no \.safetensors or \.bin file beside it/,
        index({ a: "../one.safetensors" }),
      ],
      [/"a" is in 1, which/, index({ a: 1 })],
      [/"c" is not in one\.safetensors/, index({ a: "one.safetensors", c: "one.safetensors" })],
      [/"b" of one\.safetensors is not in the index/, index({ a: "one.safetensors" })],
    ];
    for (const [message, text] of cases) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(openTensors(path), message);
    }
  }));

Deno.test("openTensors() names files that it does not know", () =>
  withFolder(async (dir) => {
    await Deno.writeFile(`${dir}/old.pth`, new Uint8Array([0x80, 2, 0x8a, 0x0a, 1]));
    await assert.rejects(openTensors(`${dir}/old.pth`), /as PyTorch before 1\.6 wrote it, hint: /);
    await Deno.writeFile(`${dir}/bare.pkl`, pickle(bytesOf("}")));
    await assert.rejects(openTensors(`${dir}/bare.pkl`), /it is a bare pickle, hint: /);
    // A header of 0x0480 bytes begins as a pickle does.
    const rest = '{"__metadata__":{"text":""},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.length;
    const metadata = { text: "a".repeat(0x480 - rest) };
    await writeSafetensors(`${dir}/x.safetensors`, new Map([["a", values(1)]]), { metadata });
    assert.deepEqual((await Deno.readFile(`${dir}/x.safetensors`)).slice(0, 2), new Uint8Array([0x80, 4]));
    (await openTensors(`${dir}/x.safetensors`))[Symbol.dispose]();
    await Deno.writeTextFile(`${dir}/x.ckpt`, "short");
    await assert.rejects(openTensors(`${dir}/x.ckpt`), /Cannot read .*x\.ckpt as safetensors: it has 5 bytes/);
  }));

Deno.test("weights that are no numbers, or of another type, are named when they are loaded", () =>
  withFolder(async (dir) => {
    const specs = new Map<string, ParameterSpec>();
    new Scope(new Graph(), specs).norm("x", 2);
    const load = async (path: string) => {
      using file = await openTensors(path);
      return await Array.fromAsync(readParameters(file, specs));
    };
    for (const value of [NaN, Infinity]) {
      const tensors = new Map([["x.weight", values(1, 2)], ["x.bias", values(0, value)]]);
      await writeSafetensors(`${dir}/x.safetensors`, tensors);
      await assert.rejects(load(`${dir}/x.safetensors`), {
        name: "InputError",
        message: `Cannot use "x.bias" of ${dir}/x.safetensors as weights: element 1 is ${value}, ` +
          "hint: the training diverged or the file is damaged",
      });
    }
    const long = tensor({ key: "0", shape: [2], storage: "LongStorage" });
    await Deno.writeFile(
      `${dir}/x.pth`,
      torchFile(dictionary([["x.weight", long], ["x.bias", long]]), { 0: new Uint8Array(16) }),
    );
    await assert.rejects(
      load(`${dir}/x.pth`),
      /"x\.weight" is of I64, not of F16, BF16, F32 or F64\n {2}"x\.bias" is of/,
    );
  }));
