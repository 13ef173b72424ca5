import assert from "node:assert/strict";
import { findEntry, readEntry, readTarDirectory, TarWriter } from "../../formats/tar.ts";
import { readBytes } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";

async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "facewright_" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const files: [name: string, bytes: Uint8Array][] = [0, 1, 511, 512, 513, 5000].map((size) => [
  `${size}.bin`,
  Uint8Array.from({ length: size }, (_, k) => k * 7),
]);

async function write(path: string, entries = files): Promise<void> {
  using tar = new TarWriter(path);
  for (const [name, bytes] of entries) await tar.add(name, bytes);
  await tar.close();
}

Deno.test("files of an archive come back, in order, and by a path that leads through it", async () => {
  await inFolder(async (dir) => {
    await write(`${dir}/a.tar`);
    const entries = readTarDirectory(`${dir}/a.tar`);
    assert.deepEqual([...entries.keys()], files.map(([name]) => name));
    for (const [name, bytes] of files) {
      assert.deepEqual(await readEntry(`${dir}/a.tar`, entries.get(name)!), bytes);
      assert.deepEqual(await readBytes(`${dir}/a.tar/${name}`), bytes);
    }
    assert.equal(findEntry(`${dir}/a.png`), undefined);
    await assert.rejects(() => readBytes(`${dir}/a.tar/none.bin`), Deno.errors.NotFound);
    await write(`${dir}/b.tar`);
    assert.deepEqual(await Deno.readFile(`${dir}/a.tar`), await Deno.readFile(`${dir}/b.tar`));
  });
});

Deno.test("paths of more than 100 bytes are divided, and files may be executable", async () => {
  await inFolder(async (dir) => {
    const path = `${"folder/".repeat(20)}${"n".repeat(90)}`;
    using tar = new TarWriter(`${dir}/a.tar`);
    await tar.add(path, Uint8Array.of(1), { executable: true });
    await assert.rejects(() => tar.add(`${"n".repeat(101)}`, Uint8Array.of(1)), /it is too long/);
    await tar.close();
    assert.deepEqual([...readTarDirectory(`${dir}/a.tar`).keys()], [path]);
    const mode = (await Deno.readFile(`${dir}/a.tar`)).subarray(100, 107);
    assert.equal(new TextDecoder().decode(mode), "0000755");
  });
});

Deno.test("archives of other programs: folders, long names and ./ in front", async () => {
  await inFolder(async (dir) => {
    // What GNU tar writes of a name of 150 bytes: an entry of type L with the name, then the file.
    const long = `${"d/".repeat(70)}long_name.txt`;
    await write(`${dir}/a.tar`, [["././@LongLink", new TextEncoder().encode(`${long}\0`)], ["d", Uint8Array.of(65)], [
      "./e",
      Uint8Array.of(66),
    ]]);
    const bytes = await Deno.readFile(`${dir}/a.tar`);
    setType(bytes, 0, "L");
    await Deno.writeFile(`${dir}/a.tar`, bytes);
    const entries = readTarDirectory(`${dir}/a.tar`);
    assert.deepEqual([...entries.keys()], [long, "e"]);
    setType(bytes, 2048, "5");
    await Deno.writeFile(`${dir}/b.tar`, bytes);
    assert.deepEqual([...readTarDirectory(`${dir}/b.tar`).keys()], [long]);
  });
});

/** Changes the type of the entry whose header begins at a byte, and its checksum with it. */
function setType(bytes: Uint8Array, at: number, type: string): void {
  const header = bytes.subarray(at, at + 512);
  header[156] = type.charCodeAt(0);
  const sum = header.reduce((all, byte, k) => all + (k >= 148 && k < 156 ? 32 : byte), 0);
  header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
}

Deno.test("what is no archive, or cut short, is an error that names the place", async () => {
  await inFolder(async (dir) => {
    await write(`${dir}/a.tar`);
    const bytes = await Deno.readFile(`${dir}/a.tar`);
    const check = async (content: Uint8Array, message: RegExp) => {
      await Deno.writeFile(`${dir}/b.tar`, content);
      assert.throws(
        () => readTarDirectory(`${dir}/b.tar`),
        (error) => error instanceof InputError && message.test(error.message),
      );
    };
    await check(bytes.subarray(0, bytes.length - 3000), /"5000.bin" does not fit in the file at byte/);
    await check(Uint8Array.from(bytes, (byte, k) => k === 3 ? byte + 1 : byte), /there is no header at byte 0/);
    await check(new Uint8Array(1024).fill(65), /there is no header at byte 0/);
  });
});
