import assert from "node:assert/strict";
import { join } from "node:path";
import { LockedError, type Owner, ownerOf, takeLock } from "../../runtime/run/lock.ts";

/** A folder with the path of a lock, and processes that take it and hold it until they are killed. */
function bench() {
  const dir = Deno.makeTempDirSync({ prefix: "facewright_lock_" });
  const path = join(dir, "run/.lock");
  const hold = async () => {
    const module = new URL("../../runtime/run/lock.ts", import.meta.url).href;
    const code = `import { takeLock } from ${JSON.stringify(module)};
      try { globalThis.lock = await takeLock(${JSON.stringify(path)}); console.log("taken"); }
      catch { console.log("refused"); Deno.exit(); }
      setInterval(() => {}, 1000);`;
    const args = ["run", "-q", "--no-prompt", "-R", `-W=${dir}`, "--allow-sys=hostname", "--ext=ts", "-"];
    const child = new Deno.Command("deno", { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(code));
    await writer.close();
    const reader = child.stdout.getReader();
    const said = new TextDecoder().decode((await reader.read()).value).trim();
    reader.releaseLock();
    const kill = async () => {
      if (said === "taken") child.kill("SIGKILL");
      await Promise.all([child.status, child.stdout.cancel()]);
    };
    return { said, kill, pid: child.pid };
  };
  const elsewhere = (owner: Partial<Owner>) => {
    Deno.mkdirSync(join(dir, "run"), { recursive: true });
    Deno.writeTextFileSync(path, JSON.stringify({ process: 1, host: "node7", since: "2001-01-01", ...owner }));
  };
  return { path, hold, elsewhere, [Symbol.dispose]: () => Deno.removeSync(dir, { recursive: true }) };
}

Deno.test("a lock is held by one process until it is given back", async () => {
  using b = bench();
  {
    using _lock = await takeLock(b.path);
    assert.equal(ownerOf(b.path)?.process, Deno.pid);
    await assert.rejects(() => takeLock(b.path), LockedError);
    const other = await b.hold();
    assert.equal(other.said, "refused");
    await other.kill();
  }
  assert.equal(ownerOf(b.path), undefined);
  using _lock = await takeLock(b.path);
});

Deno.test("a lock ends with a killed process; of several who take it over, one gets it", async () => {
  using b = bench();
  const first = await b.hold();
  assert.equal(first.said, "taken");
  assert.equal(ownerOf(b.path)?.process, first.pid);
  await assert.rejects(() => takeLock(b.path), (error: LockedError) => error.owner?.process === first.pid);
  await first.kill();
  assert.equal(ownerOf(b.path), undefined);
  const others = await Promise.all(Array.from({ length: 4 }, b.hold));
  assert.deepEqual(others.map(({ said }) => said).sort(), ["refused", "refused", "refused", "taken"]);
  for (const { kill } of others) await kill();
});

Deno.test("a holder on another machine is gone when Slurm says so, and only then", async () => {
  using b = bench();
  b.elsewhere({ job: "17_3" });
  assert.equal(ownerOf(b.path)?.job, "17_3");
  await assert.rejects(() => takeLock(b.path), /process 1 on node7, Slurm job 17_3/);
  const asked: string[] = [];
  const says = (alive: boolean | undefined) => (job: string) => {
    asked.push(job);
    return Promise.resolve(alive);
  };
  await assert.rejects(() => takeLock(b.path, says(true)), LockedError);
  await assert.rejects(() => takeLock(b.path, says(undefined)), LockedError);
  {
    using _lock = await takeLock(b.path, says(false));
    assert.equal(ownerOf(b.path)?.process, Deno.pid);
  }
  assert.deepEqual(asked, ["17_3", "17_3", "17_3"]);
  b.elsewhere({});
  await assert.rejects(() => takeLock(b.path, says(false)), LockedError, "without a job nobody can tell");
});

Deno.test("a lock that changes hands while it is taken for dead goes back", async () => {
  using b = bench();
  b.elsewhere({ job: "17" });
  // Another process takes the lock over while this one still asks about the holder before.
  let taken: Disposable | undefined;
  const slow = async () => {
    if (!taken) {
      taken = { [Symbol.dispose]() {} };
      taken = await takeLock(b.path, () => Promise.resolve(false));
    }
    return false;
  };
  await assert.rejects(() => takeLock(b.path, slow), LockedError);
  assert.equal(ownerOf(b.path)?.process, Deno.pid);
  taken?.[Symbol.dispose]();
  assert.equal(ownerOf(b.path), undefined);
});
