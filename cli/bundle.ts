/**
 * The command `bundle`: the product with Deno and its npm packages in one archive, for machines without a network.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exists, readJsonIfUsable, removeIfExists } from "../formats/files.ts";
import { formatBytes } from "../formats/numbers.ts";
import { TarWriter } from "../formats/tar.ts";
import { type Context, UsageError } from "./command.ts";

/** Top-level files and folders of the product. */
export const PARTS: readonly string[] = [
  ".ci",
  "ADDING.md",
  "LICENSE",
  "README.md",
  "bench",
  "cli",
  "deno.json",
  "deno.lock",
  "denow",
  "docs",
  "engine",
  "faces",
  "formats",
  "main.ts",
  "mod.ts",
  "models",
  "ops",
  "pipelines",
  "runtime",
  "shaders",
  "stages",
  "tests",
];

/** Declares `bundle`. */
export const bundle = ({ print, note }: Context) =>
  new Command()
    .argument("<OUT>", "archive to write, such as facewright.tar.gz")
    .option("--no-tests", "leave out the tests and the packages that they alone need, 130 MB")
    .addHelpText("after", "\nExample:\n  deno task bundle facewright.tar.gz")
    .action(async (out, { tests }) => {
      if (!/\.(tar\.gz|tgz)$/.test(out)) {
        throw new UsageError(`Cannot write a bundle to "${out}", hint: it is a .tar.gz file`);
      }
      const root = fileURLToPath(new URL("..", import.meta.url));
      const lock = tests ? "tests/deno.lock" : "deno.lock";
      const cache = await fillCache(root, lock, tests);
      const draft = `${out}.tmp`;
      let count = 0;
      try {
        using tar = new TarWriter(draft);
        for await (const { path, from } of filesOf(root, cache, tests)) {
          const executable = ((await Deno.stat(from)).mode ?? 0) & 0o100;
          await tar.add(`facewright/${path}`, await Deno.readFile(from), { executable: executable !== 0 });
          count++;
        }
        await tar.close();
        const { readable } = await Deno.open(draft);
        await Deno.writeFile(`${out}.gz.tmp`, readable.pipeThrough(new CompressionStream("gzip")));
        await Deno.rename(`${out}.gz.tmp`, out);
      } finally {
        for (const path of [draft, `${out}.gz.tmp`]) removeIfExists(path);
      }
      note(
        `${count} files, ${
          formatBytes((await Deno.stat(out)).size)
        }, for ${Deno.build.target} with Deno ${Deno.version.deno}`,
      );
      print(`${out}: unpack it anywhere, and run ./denow task doctor in facewright/`);
    });

/** A package of npm in Deno's cache. */
interface Package {
  /** Name and version below the registry's folder. */
  readonly path: string;
  /** Its folder. */
  readonly dir: string;
}

/** Downloads of Deno that a bundle has in place of the network. */
interface Cache {
  /** Packages of the lock file. */
  readonly packages: readonly Package[];
  /** Folder of the programs that Deno downloads; esbuild is in it, for `deno bundle`, which `page` needs. */
  readonly programs: string;
}

/** Has Deno download the packages of a lock file that it lacks, and esbuild. */
async function fillCache(root: string, lock: string, tests: boolean): Promise<Cache> {
  const entries = ["main.ts", "mod.ts", "stages/mod.ts", ...tests ? await testFiles(root) : []];
  await deno(root, ["cache", "--quiet", `--lock=${lock}`, "--frozen", ...entries]);
  // Any module will do: the first bundle is when Deno downloads esbuild.
  await deno(root, ["bundle", "--quiet", "formats/numbers.ts"]);
  const { denoDir, npmCache } = JSON.parse(await deno(root, ["info", "--json"])) as Record<string, string>;
  return { packages: packagesOf(join(root, lock), npmCache!), programs: join(denoDir!, "dl") };
}

/** The packages of a lock file that are in Deno's cache. */
function packagesOf(lock: string, npmCache: string): Package[] {
  const { npm } = readJsonIfUsable<{ npm: Record<string, unknown> }>(lock)!;
  const registries = [...Deno.readDirSync(npmCache)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  const found = new Map<string, Package>();
  for (const key of Object.keys(npm)) {
    // `name@version_peer@version`; a name may begin with an @.
    const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
    const path = `${name}/${version}`;
    const dir = registries.map((registry) => join(npmCache, registry, path)).find(exists);
    // Packages for other platforms are in the lock file, and not in the cache.
    if (dir) found.set(path, { path, dir });
  }
  return [...found.values()];
}

async function testFiles(root: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const path of filesBelow(root, "tests")) if (path.endsWith(".ts")) paths.push(path);
  return paths;
}

/** Runs Deno in a folder; returns what it prints. */
async function deno(cwd: string, args: readonly string[]): Promise<string> {
  const command = new Deno.Command("deno", { args: [...args], cwd, stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  if (success) return out!;
  throw new UsageError(`Cannot find the packages of the bundle: deno ${args[0]} failed: ${error}`);
}

/** A file of the bundle: its path in it, and where it is now. */
interface BundleFile {
  readonly path: string;
  readonly from: string;
}

/** The files of the bundle. */
async function* filesOf(root: string, cache: Cache, tests: boolean): AsyncGenerator<BundleFile> {
  for (const part of PARTS) {
    if (part === "tests" && !tests) continue;
    for await (const path of filesBelow(root, part)) yield { path, from: join(root, path) };
  }
  yield { path: ".deno/bin/deno", from: Deno.execPath() };
  for await (const path of filesBelow(cache.programs, ".")) {
    if (!path.startsWith("./esbuild-")) continue;
    yield { path: join(".deno/cache/dl", path), from: join(cache.programs, path) };
  }
  // The place at which Deno looks for packages of npm in its cache.
  const npm = ".deno/cache/npm/registry.npmjs.org";
  const names = new Set<string>();
  for (const { path, dir } of cache.packages) {
    for await (const file of filesBelow(dir, ".")) {
      yield { path: join(npm, path, file), from: join(dir, file) };
    }
    const name = path.slice(0, path.lastIndexOf("/"));
    const versions = join(dir, "..", "registry.json");
    if (!names.has(name) && exists(versions)) yield { path: `${npm}/${name}/registry.json`, from: versions };
    names.add(name);
  }
}

/** Paths of the files below a folder, or of the file itself, sorted. */
async function* filesBelow(root: string, path: string): AsyncGenerator<string> {
  if (!(await Deno.stat(join(root, path))).isDirectory) return void (yield path);
  const names = (await Array.fromAsync(Deno.readDir(join(root, path)), ({ name }) => name)).sort();
  for (const name of names) if (!name.endsWith(".tmp")) yield* filesBelow(root, `${path}/${name}`);
}
