/**
 * Prints the lines of code of each folder, without comments and blank lines, and the files over the soft limits, with
 * their change since a branch, main unless another is named.
 *
 * @module
 */

/** Soft limits, in lines, of the files below a folder. More than that wants a reason. */
const LIMITS: Readonly<Record<string, number>> = {
  bench: 400,
  cli: 400,
  engine: 400,
  faces: 400,
  formats: 400,
  models: 300,
  ops: 150,
  runtime: 400,
  shaders: 120,
  stages: 200,
};

/** Lines that are neither blank nor comments. */
function countLines(text: string): number {
  const code = text.replace(/\/\*[^]*?\*\//g, "").split("\n");
  return code.filter((line) => line.trim() !== "" && !line.trim().startsWith("//")).length;
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? filesIn(path) : /\.(ts|wgsl)$/.test(name) ? [path] : [];
  });
}

function git(...args: string[]): string | undefined {
  const { success, stdout } = new Deno.Command("git", { args, stderr: "null" }).outputSync();
  return success ? new TextDecoder().decode(stdout) : undefined;
}

const base = Deno.args[0] ?? "main";
const counted = (path: string) => path.split("/")[0]! in LIMITS && /\.(ts|wgsl)$/.test(path);
const changed = git("diff", "--name-only", "--no-renames", base)?.split("\n").filter(counted);
const before = new Map((changed ?? []).map((path) => [path, countLines(git("show", `${base}:${path}`) ?? "")]));
const now = new Map(
  Object.keys(LIMITS).flatMap(filesIn).map((path) => [path, countLines(Deno.readTextFileSync(path))]),
);

const signed = (change: number) => change === 0 ? "" : change > 0 ? `+${change}` : String(change);
const row = (name: string, lines: number, change: number, limit = "") =>
  `${name.padEnd(44)}${String(lines).padStart(7)}${signed(change).padStart(8)}  ${limit}`.trimEnd();
/** Change of the lines of a file since the base; of one that is not there any more, too. */
const changeOf = (path: string) => before.has(path) ? (now.get(path) ?? 0) - before.get(path)! : 0;
const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

const lines = [changed ? `lines of code, and their change since ${base}` : "lines of code"];
for (const folder of Object.keys(LIMITS)) {
  const inside = ([path]: readonly [string, unknown]) => path.startsWith(`${folder}/`);
  const total = sum([...now].filter(inside).map(([, count]) => count));
  lines.push(row(folder, total, sum([...new Map([...now, ...before])].filter(inside).map(([path]) => changeOf(path)))));
}
lines.push(row("total", sum(now.values()), sum([...new Map([...now, ...before])].map(([path]) => changeOf(path)))), "");
const over = [...now].map(([path, count]) => ({ path, count, limit: LIMITS[path.split("/")[0]!]! }))
  .filter(({ count, limit }) => count > limit).sort((a, b) => b.count / b.limit - a.count / a.limit);
lines.push(`${over.length} files over the soft limit of their folder`);
for (const { path, count, limit } of over) lines.push(row(path, count, changeOf(path), `of ${limit}`));
Deno.stdout.writeSync(new TextEncoder().encode(`${lines.join("\n")}\n`));
