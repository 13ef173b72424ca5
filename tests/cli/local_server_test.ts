import assert from "node:assert/strict";
import { join } from "node:path";
import { keptToken } from "../../cli/_local_server.ts";
import { inFolder } from "../stages/run_stages.ts";

Deno.test("the secret of a page is kept in a file that only its owner may read, and replaced where others could read it", async () => {
  await inFolder(async (root) => {
    const path = join(root, "secret"), first = keptToken(path);
    assert.match(first, /^[0-9a-f]{32}$/);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.equal(keptToken(path), first);
    await Deno.chmod(path, 0o640);
    const second = keptToken(path);
    assert.notEqual(second, first);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    for (const text of ["", "0".repeat(31), `${"0".repeat(32)}\n${"1".repeat(32)}`, "../".repeat(12)]) {
      await Deno.writeTextFile(path, text);
      assert.match(keptToken(path), /^(?!0{32})[0-9a-f]{32}$/);
    }
    const folder = join(root, "folder");
    await Deno.mkdir(join(folder, "of others"), { recursive: true });
    assert.throws(() => keptToken(folder), /Cannot write .*folder/);
    assert.ok((await Deno.stat(join(folder, "of others"))).isDirectory);
  });
});
