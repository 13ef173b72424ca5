import assert from "node:assert/strict";
import { join } from "node:path";
import { Random } from "../../engine/rng.ts";
import { RecipeFaces } from "../../cli/_recipe_faces.ts";
import { findRecipes, readRecipe, RecipeFolder } from "../../cli/_recipe_files.ts";
import { RecipeServer } from "../../cli/_recipe_server.ts";
import type { Drawn } from "../../cli/recipes/api.ts";
import { History } from "../../cli/recipes/history.ts";
import { decodeImage } from "../../faces/data/image_file.ts";
import { applyEdit } from "../../faces/edits.ts";
import { pointAt } from "../../faces/geometry.ts";
import { pullLandmark } from "../../cli/_recipe_pull.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { gpuTest } from "../gpu.ts";
import { inFolder } from "../stages/run_stages.ts";
import { type Ask, askOf, PORT, post, statusOf, TOKEN } from "./ask_server.ts";
import { runCommand } from "./run_command.ts";

const INK = `# Our ink
style: ink
doc: Brush and ink.
render:
  line: { outline: 0.014, wobble: 0.008 } # it swells
`;
const SMILE = `edit: smile
schema: ibug68
doc: Raises the corners of the mouth.
amount: { min: 0.3, max: 1 }
random:
  uneven: { min: -1, max: 1, lateral: true }
moves:
  # both corners
  - { points: [48], offset_iod: [-0.1, -0.1] }
  - { points: [48], offset_iod: [0, -0.05], multiply_by: uneven }
`;

/** A folder with a style, an edit and other files. */
async function folderOf(root: string): Promise<string> {
  const dir = join(root, "recipes");
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/ink.yaml`, INK);
  await Deno.writeTextFile(`${dir}/smile.yaml`, SMILE);
  await Deno.writeTextFile(`${dir}/flow.yaml`, "stages:\n  a: { uses: faces/render }\n");
  await Deno.writeTextFile(`${dir}/README.md`, "style: no style\n");
  return dir;
}

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

Deno.test("recipes: a folder's styles and edits are found, and its other files are not", async () => {
  await inFolder(async (root) => {
    const dir = await folderOf(root);
    const { folder, file } = (await findRecipes(`${dir}/ink.yaml`))!;
    assert.deepEqual([folder.dir, file], [dir, "ink.yaml"]);
    assert.deepEqual(folder.list(), [{ file: "ink.yaml", kind: "style" }, { file: "smile.yaml", kind: "edit" }]);
    assert.deepEqual((await findRecipes(dir))!.folder.list(), folder.list());
    assert.equal(await findRecipes(root), undefined);
    assert.equal(await findRecipes(`${dir}/README.md`), undefined);
    await assert.rejects(findRecipes(`${dir}/flow.yaml`), /has neither a key "style" nor a key "edit"/);
    const { code, notes } = await runCommand(["correct", dir, "--save", join(root, "out")]);
    assert.deepEqual([code, /Cannot use --save with .* it has styles and edits/.test(notes)], [2, true]);
    await Deno.writeFile(`${dir}/other.yaml`, Uint8Array.of(0xff, 0x00, 0x80));
    assert.equal(folder.list().length, 2);
    for (const name of ["none.yaml", "flow.yaml", "../recipes/ink.yaml", "ink.yaml.old1", ""]) {
      assert.throws(() => folder.open(name), /There is no style or edit/);
    }
  });
});

Deno.test("recipes: saving keeps the old text, byte by byte, and earlier ones can be put back", async () => {
  await inFolder(async (root) => {
    const dir = await folderOf(root), folder = new RecipeFolder(dir), windows = INK.replaceAll("\n", "\r\n");
    await Deno.writeTextFile(`${dir}/ink.yaml`, windows);
    const { text, versions } = folder.open("ink.yaml");
    assert.deepEqual([text, versions], [INK, []]);
    const next = text.replace("0.014", "0.02"), last = text.replace("0.014", "0.03");
    const saved = folder.save({ file: "ink.yaml", text: next, was: text });
    assert.equal(saved.text, next);
    assert.equal(await Deno.readTextFile(`${dir}/ink.yaml`), next.replaceAll("\n", "\r\n"));
    assert.equal(await Deno.readTextFile(`${dir}/ink.yaml.old1`), windows);
    assert.throws(() => folder.save({ file: "ink.yaml", text: last, was: text }), /was changed by another program/);
    assert.deepEqual(
      folder.save({ file: "ink.yaml", text: last, was: next }).versions.map(({ number }) => number),
      [2, 1],
    );
    assert.equal(await folder.version("ink.yaml", 1), INK);
    const back = folder.save({ file: "ink.yaml", text: await folder.version("ink.yaml", 1), was: last });
    assert.deepEqual([back.text, back.versions.map(({ number }) => number)], [INK, [3, 2, 1]]);
    assert.equal(await folder.version("ink.yaml", 3), last);
    await assert.rejects(folder.version("ink.yaml", 4), /There is no such version/);
    const names = namesIn(dir);
    assert.deepEqual(folder.save({ file: "ink.yaml", text: INK, was: INK }).versions.length, 3);
    assert.deepEqual(namesIn(dir), names, "a text that is the same keeps no version");
  });
});

Deno.test("recipes: a new file is named as its style or edit, and replaces no other file", async () => {
  await inFolder(async (root) => {
    const dir = await folderOf(root), folder = new RecipeFolder(dir);
    const saved = folder.save({ file: "ink.yaml", text: INK, was: INK, as: "wet_ink" });
    assert.deepEqual([saved.file, saved.text], ["wet_ink.yaml", INK.replace("style: ink", "style: wet ink")]);
    folder.save({ file: "smile.yaml", text: SMILE, was: SMILE, as: "grin" });
    assert.equal(await Deno.readTextFile(`${dir}/grin.yaml`), SMILE.replace("edit: smile", "edit: grin"));
    assert.equal(await Deno.readTextFile(`${dir}/smile.yaml`), SMILE);
    await Deno.remove(`${dir}/ink.yaml`);
    assert.equal(folder.save({ file: "ink.yaml", text: INK, was: INK, as: "ink_again" }).file, "ink_again.yaml");
    await Deno.writeTextFile(`${dir}/ink.yaml`, INK);
    const names = namesIn(dir);
    const refused = (as: string, why: RegExp) =>
      assert.throws(() => folder.save({ file: "ink.yaml", text: INK, was: INK, as }), why);
    for (const as of ["ink", "smile", "flow"]) refused(as, /there is a \w+ already/);
    for (const as of ["", "Ink", "../ink", "a/b", "1st", "a.b", "x".repeat(61)]) {
      refused(as, /a name has small letters/);
    }
    refused("wild", /has no file/);
    assert.throws(
      () => folder.save({ file: "ink.yaml", text: INK.replace("0.014", "14"), was: INK }),
      /line 5: Cannot read "render.line.outline"/,
    );
    assert.throws(
      () => folder.save({ file: "smile.yaml", text: SMILE.replace("edit: smile", "edit: grin"), was: SMILE }),
      /line 1: Cannot use smile\.yaml as its edit is named "grin"/,
    );
    assert.deepEqual(namesIn(dir), names);
  });
});

Deno.test("recipes: mistakes are named with their lines", () => {
  const problems = (kind: "style" | "edit", text: string) => {
    const read = readRecipe(kind, text, `${kind === "style" ? "ink" : "smile"}.yaml`);
    return "problems" in read ? read.problems.map(({ line, column, hint }) => [line, column, hint]) : [];
  };
  assert.deepEqual(problems("style", INK), []);
  assert.deepEqual(problems("style", INK.replace("wobble", "wobbel")), [[5, 27, 'did you mean "wobble"?']]);
  assert.deepEqual(problems("style", `${INK}  palette: { kind: nearest }\n`).map(([line]) => line), [6]);
  assert.deepEqual(problems("style", `${INK}  x: [`).map(([line]) => line), [6]);
  assert.deepEqual(problems("edit", SMILE.replace("uneven }", "odd }")).map(([line]) => line), [10]);
  assert.deepEqual(problems("edit", SMILE.replace("smile", "grin")), [[1, 7, "write edit: smile"]]);
  assert.deepEqual(problems("style", `style: ${"[".repeat(20_000)}`).map(([line]) => line), [1]);
});

Deno.test("recipes: a drag of a slider is one change, and what is undone stays until the next one", () => {
  const history = new History("a");
  for (const [k, text] of ["b", "c", "d"].entries()) history.add(text, "size", 100 * k);
  history.add("e", "colour", 400);
  history.add("f", "colour", 5000);
  const back = [];
  for (; history.canUndo; history.step("undo")) back.push(history.text);
  assert.deepEqual([back, history.text], [["f", "e", "d"], "a"]);
  history.step("redo");
  assert.deepEqual([history.text, history.canRedo], ["d", true]);
  history.add("g", "size", 5001);
  assert.deepEqual([history.text, history.canRedo], ["g", false]);
  history.step("undo");
  assert.equal(history.text, "d");
});

async function withServer(
  use: (ask: Ask, dir: string) => Promise<void>,
  device?: GPUDevice,
): Promise<void> {
  await inFolder(async (root) => {
    const dir = await folderOf(root), faces = device && new RecipeFaces(device);
    const server = new RecipeServer({ folder: new RecipeFolder(dir), faces, reason: "none is drawn", token: TOKEN });
    await use(askOf(server), dir);
    await faces?.[Symbol.asyncDispose]();
  });
}

const request = (more: object = {}) => ({
  kind: "style",
  file: "ink.yaml",
  text: INK,
  changes: [],
  person: 18,
  size_px: 32,
  draws: {},
  pictured: true,
  ...more,
});
const smile = (more: object = {}) => request({ kind: "edit", file: "smile.yaml", text: SMILE, ...more });

Deno.test("recipes: the server answers its own page, under its secret, and nobody else", async () => {
  await withServer(async (ask, dir) => {
    const status = (path: string, init?: RequestInit) => statusOf(ask(path, init));
    for (
      const [path, expected] of [
        ["", 200],
        ["style.css", 200],
        ["base.css", 200],
        ["cli/recipes/app.ts", 200],
        ["cli/correct/elements.ts", 200],
        ["files", 200],
        ["file/ink.yaml", 200],
        ["file/ink.yaml/1", 404],
        ["file/flow.yaml", 404],
        ["file/README.md", 404],
        ["file/..%2frecipes%2fink.yaml", 404],
        ["file/%", 404],
        ["version/ink.yaml/1", 404],
        ["thumb/ink.yaml", 422],
        ["cli/_recipe_server.ts", 404],
        ["cli/recipes/index.html", 404],
        ["ink.yaml", 404],
        ["draw", 404],
      ] as const
    ) assert.equal(await status(`/${TOKEN}/${path}`), expected, path);
    for (const path of ["/", `/${TOKEN}`, `/${TOKEN.replace("0", "1")}/`, "/files"]) {
      assert.equal(await status(path), 404, path);
    }
    assert.equal(await status(`http://evil.example:${PORT}/${TOKEN}/`), 403);
    assert.equal(await status(`/${TOKEN}/files`, { headers: { origin: "http://evil.example" } }), 403);
    const change = { file: "ink.yaml", text: INK.replace("0.014", "0.02"), was: INK };
    assert.equal(await status(`/${TOKEN}/save`, post(change, { origin: "null" })), 403);
    assert.equal(await status(`/${TOKEN}/save`, post(change, { "content-type": "text/plain" })), 415);
    assert.equal(await status(`/${TOKEN}/save`, post({ ...change, more: 1 })), 400);
    assert.equal(await status(`/${TOKEN}/save`, post({ ...change, file: "../recipes/ink.yaml" })), 404);
    assert.equal(await status(`/${TOKEN}/save`, post({ ...change, was: "" })), 409);
    assert.equal(await status(`/${TOKEN}/save`, post({ ...change, as: "../x" })), 422);
    assert.equal(await Deno.readTextFile(`${dir}/ink.yaml`), INK, "nothing was written");
    assert.equal(await status(`/${TOKEN}/save`, post(change)), 200);
    assert.equal(await Deno.readTextFile(`${dir}/ink.yaml`), change.text);
    for (const wrong of ["{", [], {}, request({ size_px: 4096 }), request({ person: -1 }), request({ text: 1 })]) {
      assert.equal(await status(`/${TOKEN}/draw`, post(wrong)), 400, JSON.stringify(wrong));
    }
  });
});

const drawn = async (response: Response): Promise<Drawn> => {
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.text());
  return await response.json();
};

Deno.test("recipes: values are set in the text, and mistakes come instead of pictures", async () => {
  await withServer(async (ask) => {
    const draw = async (body: object) => await drawn(await ask(`/${TOKEN}/draw`, post(body)));
    const changes = [
      { path: ["render", "line", "outline"], value: 0.02 },
      { path: ["render", "line", "wobble"], value: null },
      { path: ["render", "palette", "kind"], value: "nearest" },
    ];
    const { text, problems, given, picture } = await draw(request({ changes }));
    assert.equal(
      text,
      INK.replace("0.014, wobble: 0.008", "0.02").replace("swells\n", "swells\n  palette: { kind: nearest }\n"),
    );
    assert.deepEqual([problems.map(({ line }) => line), picture], [[6], undefined]);
    assert.equal((given as { render: { line: { outline: number } } }).render.line.outline, 0.02);
    const broken = await draw(request({ text: `${INK}x: [` }));
    assert.deepEqual([broken.given, broken.problems.length > 0], [null, true]);
    const refused = await ask(`/${TOKEN}/draw`, post(request({ text: `${INK}x: [`, changes })));
    assert.deepEqual([refused.status, /the text is no YAML/.test(await refused.text())], [422, true]);
  });
});

gpuTest("recipes: a style is drawn, and an edit moves landmarks by its amount", async ({ gpu }) => {
  await withServer(async (ask) => {
    const draw = async (body: object) => await drawn(await ask(`/${TOKEN}/draw`, post(body)));
    const image = (url: string) => decodeImage(Uint8Array.fromBase64(url.replace("data:image/png;base64,", "")));
    const first = await draw(request()), second = await draw(request());
    assert.equal(first.picture, second.picture, "the same person is the same picture");
    assert.equal(image(first.picture!).width, 32);
    assert.notEqual((await draw(request({ person: 19 }))).picture, first.picture);
    const thick = await draw(request({ changes: [{ path: ["render", "line", "outline"], value: 0.05 }] }));
    assert.notEqual(thick.picture, first.picture);

    const full = await draw(smile({ draws: { uneven: 0 } })),
      half = await draw(smile({ amount: 0.5, draws: { uneven: 0 } }));
    const { before, after, size_px, condition, spoiled } = full.edit!;
    assert.deepEqual([size_px, image(condition).width, image(full.picture!).width, spoiled], [256, 256, 256, null]);
    const up = ({ edit }: Drawn, p: number) => edit!.before[p]![1] - edit!.after[p]![1];
    assert.ok(up(full, 48) > 4 && up(full, 54) > 4, `${up(full, 48)} px up`);
    assert.ok(Math.abs(up(half, 48) - up(full, 48) / 2) < 0.01);
    assert.deepEqual(before[30], after[30]);
    const uneven = await draw(smile({ draws: { uneven: 1 }, pictured: false }));
    assert.ok(up(uneven, 48) > up(full, 48) + 1 && up(uneven, 54) < up(full, 54) - 1);
    assert.equal(uneven.picture, undefined);
    const inside = await draw(smile({ changes: [{ path: ["moves", 0, "offset_iod", 1], value: 1 }] }));
    assert.match(inside.edit!.spoiled!, /lips/);
    const other = await draw(smile({ text: SMILE.replace("ibug68", "wflw98") }));
    assert.match(other.unseen!, /ibug68, which contain no wflw98/);
    const [x, y] = full.edit!.after[48]!;
    const pulled = await draw(smile({ pull: { point: 48, to: [x - 3, y - 5] }, draws: { uneven: 0 } }));
    assert.ok(Math.hypot(pulled.edit!.after[48]![0] - x + 3, pulled.edit!.after[48]![1] - y + 5) < 0.2);
    assert.equal((await ask(`/${TOKEN}/draw`, post(smile({ pull: { point: 68, to: [1, 1] } })))).status, 400);
    const thumb = await ask(`/${TOKEN}/thumb/smile.yaml`);
    assert.equal(decodeImage(new Uint8Array(await thumb.arrayBuffer())).width, 64);
  }, gpu);
});

/** Number of requests; `deno task fuzz` asks for more. */
const REQUESTS = Number(Deno.args.find((arg) => arg.startsWith("--fuzz="))?.slice("--fuzz=".length) ?? 400);

Deno.test(`recipes: ${REQUESTS} random requests read and write nothing but the files, and none is a crash`, async () => {
  await withServer(async (ask, dir) => {
    const random = new Random(1, "recipes.fuzz");
    const one = <T>(list: readonly T[]): T => list[Math.floor(random.uniform() * list.length)]!;
    const secret = "the secret of another folder";
    await Deno.writeTextFile(`${dir}/../secret.yaml`, `style: secret\ndoc: ${secret}\n`);
    const others = async () =>
      await Promise.all(
        ["flow.yaml", "README.md", "../secret.yaml"].map((name) => Deno.readTextFile(`${dir}/${name}`)),
      );
    const before = await others(), parent = namesIn(`${dir}/..`);
    const file = () =>
      one([
        "ink.yaml",
        "ink.yaml",
        "smile.yaml",
        "flow.yaml",
        "../secret.yaml",
        "README.md",
        "ink.yaml.old1",
        "",
        "\0",
        "a/b",
      ]);
    const text = (): string => {
      const whole = one([INK, INK, SMILE]), at = Math.floor(random.uniform() * whole.length);
      return one([
        whole,
        whole.slice(0, at) + one(["{", "[", "#", "\n", "- ", ": ", "&a ", "*a", "é", "\0", "9"]) + whole.slice(at),
        whole.slice(0, at),
        one(["[", "{a: ", "- ", "? "]).repeat(1 + at * 100),
        "",
      ]);
    };
    const key = () =>
      one([
        "style",
        "render",
        "line",
        "outline",
        "moves",
        0,
        1,
        7,
        "offset_iod",
        "points",
        "__proto__",
        "constructor",
        "",
        "a b",
        -1,
      ]);
    const path = () => Array.from({ length: Math.floor(random.uniform() * 5) }, key);
    const value = () => one([0.5, 1e308, -1, "x", "#ff0000", "a: b\n", true, null, [], [1, "2"], { a: 1 }, [[1]]]);
    const known = () =>
      one<(string | number)[]>([["render", "line", "outline"], ["style"], ["moves", 0, "offset_iod", 0]]);
    const change = () => ({ path: one([path, path, known])(), value: value() });
    const body = (): string => {
      const json = JSON.stringify(
        one<() => unknown>([
          () => request({ kind: one(["style", "edit"]), file: file(), text: text(), changes: [change()] }),
          () =>
            smile({
              text: text(),
              pull: one([{ point: one([48, 1e6, -1]), to: [1, value()] }, undefined]),
              amount: one([0, 1, 2, null]),
              draws: { uneven: one([0, 1, "x"]) },
            }),
          () => request({ person: one([0, -1, 1e9]), size_px: one([16, 64, 1e4]) }),
          () => ({ file: file(), text: text(), was: one([INK, SMILE, text()]) }),
          () => ({ file: file(), text: text(), was: INK, as: one(["x", "ink", "../x", "\0", "/tmp/x", "a.yaml"]) }),
          () => ({ ["__proto__"]: {}, file: "../../secret.yaml" }),
        ])(),
      );
      return one([
        json,
        json,
        json,
        json,
        json.slice(0, random.uniform() * json.length),
        "x".repeat(2e6 * random.uniform()),
      ]);
    };
    const pieces = "file version thumb files draw save cli recipes app.ts .. %2e%2e %00 secret.yaml ink.yaml 1 ../.."
      .split(" ");
    const anyPath = () =>
      Array.from({ length: Math.floor(random.uniform() * 5) }, () => one(pieces)).join(one(["/", "/", "//", "%2f"]));
    const counts = new Map<number, number>();
    for (let k = 0; k < REQUESTS; k++) {
      const hits = random.uniform() < 0.7;
      const target = `${one(["", "", "", "", "http://evil.example"])}/${one([TOKEN, TOKEN, TOKEN, ""])}/${
        hits ? one(["draw", "draw", "save"]) : anyPath()
      }`;
      const method = hits ? "POST" : one(["GET", "GET", "POST", "PUT", "DELETE"]);
      const origin = one([`http://127.0.0.1:${PORT}`, `http://127.0.0.1:${PORT}`, `http://127.0.0.1:${PORT}`, "null"]);
      const init: RequestInit = method === "GET" ? {} : { ...post(body(), { origin }), method };
      let response: Response;
      try {
        response = await ask(target, init);
      } catch (error) {
        assert.fail(`${method} ${target} ${String(init.body).slice(0, 300)}: ${(error as Error).stack}`);
      }
      // Thousands of versions would be listed by each request that follows.
      if (k % 200 === 0) {
        for (const name of namesIn(dir).filter((name) => /^\w+\.yaml\.old\d+$/.test(name))) {
          await Deno.remove(`${dir}/${name}`);
        }
      }
      counts.set(response.status, (counts.get(response.status) ?? 0) + 1);
      assert.ok(response.status < 500, `${response.status} for ${method} ${target}`);
      assert.ok(!(await response.text()).includes(secret));
    }
    assert.deepEqual(await others(), before);
    assert.deepEqual(namesIn(`${dir}/..`), parent);
    const allowed = /^(?:ink|smile|x)\.yaml(?:\.old\d+)?$|^flow\.yaml$|^README\.md$/;
    assert.deepEqual(namesIn(dir).filter((name) => !allowed.test(name)), []);
    assert.ok([200, 400, 403, 404, 422].every((status) => counts.get(status)), JSON.stringify([...counts]));
    for (const { file, kind } of new RecipeFolder(dir).list()) {
      const read = readRecipe(kind, new RecipeFolder(dir).open(file).text, file);
      assert.ok(!("problems" in read), "what was written can be read");
    }
  });
});

Deno.test("recipes: a landmark that is dragged comes to its place by the move that names it, or by a new one", () => {
  const landmarks = Float32Array.from(neutralFace(256));
  const pull = (text: string, point: number, dx: number, dy: number, amount = 1, uneven = 0.5) => {
    const read = (text: string) => {
      const read = readRecipe("edit", text, "smile.yaml");
      assert.ok("edit" in read, JSON.stringify(read));
      return read.edit;
    };
    const place = (text: string, p: number) => pointAt(applyEdit(landmarks, read(text), amount, { uneven }), p);
    const [x, y] = place(text, point), to = [x + dx, y + dy] as const;
    const next = pullLandmark(text, read(text), landmarks, { point, to, amount, draws: { uneven } });
    const [nextX, nextY] = place(next, point);
    assert.ok(Math.hypot(nextX - to[0], nextY - to[1]) < 0.2, `${[nextX, nextY]} is not at ${to}`);
    return { text: next, moved: (p: number) => place(next, p).map((px, axis) => px - place(text, p)[axis]!) };
  };
  const left = pull(SMILE, 48, -4, -6), right = pull(SMILE, 54, 4, -6);
  assert.deepEqual(left.moved(30), [0, 0]);
  const [dx, dy] = left.moved(54);
  assert.ok(Math.abs(dx! - 4) < 0.3 && Math.abs(dy! + 6) < 0.3, "the other half follows");
  assert.equal(left.text.split("\n").length, SMILE.split("\n").length);
  assert.ok(left.text.includes("  # both corners\n"));
  assert.equal(right.text, left.text, "from the other side it is the same");
  // On the middle of the face only y may change.
  const { text } = pull(SMILE, 30, 0, 7.5, 0.5);
  assert.match(text.slice(SMILE.length), /^ {2}- { points: \[30\], offset_iod: \[0, 0\.\d+\] }\n$/);
  assert.equal(text.slice(0, SMILE.length), SMILE);
  assert.match(pull(text, 30, 0, -7.5).text, /points: \[30\], offset_iod: \[0, -?0\.\d+\] }\n$/);
  assert.throws(() => pull(SMILE, 48, 1, 1, 0.01), /The amount is too small here/);
});
