import assert from "node:assert/strict";
import { join } from "node:path";
import { CORRECTIONS, parseCorrections } from "../../formats/corrections.ts";
import { createImage } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { boundingBox } from "../../faces/landmarks.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { Random } from "../../engine/rng.ts";
import { Comparison, folderSide } from "../../cli/_correct_compare.ts";
import { Guesser } from "../../cli/_correct_guesser.ts";
import { Journal } from "../../cli/_correct_journal.ts";
import { CorrectServer } from "../../cli/_correct_server.ts";
import { openSource } from "../../cli/_correct_source.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { gpuTest } from "../gpu.ts";
import { inFolder } from "../stages/run_stages.ts";
import { type Ask, askOf, PORT, post, statusOf, TOKEN } from "./ask_server.ts";
import { datasetOf, filesOf, folderOf, LANDMARKS, shifted, SIDE } from "./correct_faces.ts";

async function withServer(
  count: number,
  use: (ask: Ask, journal: Journal, dir: string) => Promise<void>,
  make = datasetOf,
): Promise<void> {
  await inFolder(async (root) => {
    const dir = await make(join(root, "faces"), count), source = await openSource(dir);
    using journal = Journal.open(source);
    const side = await folderSide(dir, source), comparison = new Comparison([side, side], source.schema);
    const server = new CorrectServer({ source, journal, comparison, token: TOKEN, reason: "none is loaded" });
    await use(askOf(server), journal, dir);
  });
}

Deno.test("correct: the server answers its own page, under its secret, and nobody else", async () => {
  await withServer(2, async (ask, journal) => {
    const status = (path: string, init?: RequestInit) => statusOf(ask(path, init));
    const state = shifted(journal.original(0), 1);
    for (
      const [path, expected] of [
        ["", 200],
        ["style.css", 200],
        ["cli/correct/app.ts", 200],
        ["faces/refit.ts", 200],
        ["faces", 200],
        ["face/1", 200],
        ["image/0", 200],
        ["thumb/1", 200],
        ["compare/1", 200],
        ["compare/2", 404],
        ["face/2", 404],
        ["image/-1", 404],
        ["image/0/..", 404],
        ["cli/correct.ts", 404],
        ["cli/correct/index.html", 404],
        ["metadata.jsonl", 404],
        ["%2e%2e/deno.json", 404],
        ["../deno.json", 404],
        ["set", 404],
      ] as const
    ) assert.equal(await status(`/${TOKEN}/${path}`), expected, path);
    for (const path of ["/", `/${TOKEN}`, `/${TOKEN.replace("0", "1")}/`, "/faces", `/${TOKEN}x/faces`]) {
      assert.equal(await status(path), 404, path);
    }
    const page = await ask(`/${TOKEN}/`);
    assert.match(page.headers.get("content-security-policy")!, /^default-src 'none'; script-src 'self';/);
    assert.equal(page.headers.get("referrer-policy"), "no-referrer");
    assert.doesNotMatch(await page.text(), /(?:src|href)="(?:https?:)?\/\//, "nothing is loaded from elsewhere");

    const body = { face: 0, revision: 0, state };
    assert.equal(await status(`http://evil.example:${PORT}/${TOKEN}/`), 403);
    assert.equal(await status(`/${TOKEN}/faces`, { headers: { origin: "http://evil.example" } }), 403);
    assert.equal(await status(`/${TOKEN}/set`, post(body, { origin: "null" })), 403);
    const { origin: _, ...noOrigin } = post(body).headers as Record<string, string>;
    assert.equal(await status(`/${TOKEN}/set`, { ...post(body), headers: noOrigin }), 403);
    assert.equal(await status(`/${TOKEN}/set`, post(body, { "content-type": "text/plain" })), 415);
    assert.equal(await status(`/${TOKEN}/set`, post("x".repeat(2 << 20))), 413);
    assert.equal(await status(`/${TOKEN}/set`, { method: "PUT" }), 405);
    for (
      const wrong of [
        "{",
        [],
        {},
        { ...body, face: 9 },
        { ...body, more: 1 },
        { ...body, state: { ...state, landmarks: state.landmarks.slice(1) } },
        { ...body, state: { ...state, landmarks: state.landmarks.with(0, [1e9, 0]) } },
        { ...body, state: { ...state, pinned: [68] } },
        { ...body, state: { ...state, occluded: [1, 1] } },
        { ...body, state: { ...state, verdict: "fine" } },
      ]
    ) {
      const answer = await status(`/${TOKEN}/set`, post(wrong));
      assert.ok(answer === 400 || answer === 404, `${answer} for ${JSON.stringify(wrong).slice(0, 60)}`);
    }
    assert.equal(journal.view(0).revision, 0, "nothing was changed");
    assert.equal(await status(`/${TOKEN}/set`, post(body)), 200);
    assert.equal(await status(`/${TOKEN}/set`, post(body)), 409, "of an old revision");
    assert.equal(await status(`/${TOKEN}/undo`, post({ face: 0, revision: 1 })), 200);
    assert.deepEqual(journal.view(0).state, journal.original(0));
    const guess = await ask(`/${TOKEN}/guess`, post({ face: 0, landmarks: state.landmarks }));
    assert.deepEqual([guess.status, await guess.text()], [422, "none is loaded"]);
  });
});

Deno.test("correct: a window gets the changes of others", async () => {
  await withServer(2, async (ask, journal) => {
    const { body } = await ask(`/${TOKEN}/events`), reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    assert.match((await reader.read()).value!, /^: open/);
    const state = shifted(journal.original(1), 1);
    await statusOf(ask(`/${TOKEN}/set`, post({ face: 1, revision: 0, state })));
    const event = JSON.parse((await reader.read()).value!.replace(/^data: /, ""));
    assert.deepEqual([event.summary.index, event.summary.changed, event.revision, event.state], [1, true, 1, state]);
    await reader.cancel();
  });
});

gpuTest(
  "correct: a detector guesses the landmarks of a face at its place, and says where it cannot",
  async (device) => {
    await inFolder(async (root) => {
      const image = createImage(3 * SIDE, 2 * SIDE, [200, 170, 150]), path = `${root}/face.png`;
      await writePng(path, image);
      using detector = await loadDetector(device, "models/tiny/detector", { batch: 1 });
      const guesser = new Guesser(detector, SCHEMAS.ibug68), face = LANDMARKS.map((px) => px + SIDE / 2);
      const [first, second] = await Promise.all([guesser.guess(path, face), guesser.guess(path, face)]);
      assert.deepEqual(first, second);
      assert.equal(first.uncertainty_px.length, 68);
      assert.ok(first.uncertainty_px.every((px) => px > 0));
      const right = await guesser.guess(path, face.map((px, i) => i % 2 ? px : px + SIDE));
      const mean = (list: typeof first) => list.landmarks.reduce((sum, [x]) => sum + x / 68, 0);
      assert.ok(Math.abs(mean(right) - mean(first) - SIDE) < 0.2 * SIDE, "it looks at the place of the landmarks");
      // A box around the landmarks is the same place.
      const { x, y, width, height } = boundingBox(face), inBox = await guesser.guessIn(path, [x, y, width, height]);
      assert.deepEqual(inBox, await guesser.guessIn(path, [x, y, width, height]));
      assert.ok(Math.abs(mean(inBox) - mean(first)) < 0.2 * SIDE);
      await assert.rejects(guesser.guess(path, new Float32Array(136)), /whose eyes are at one place/);
      await assert.rejects(guesser.guess(`${root}/none.png`, face), /none\.png/);
      assert.deepEqual(await guesser.guess(path, face), first, "it goes on after an error");
      assert.throws(() => new Guesser(detector, SCHEMAS.wflw98), /Cannot convert landmarks of ibug68 to wflw98/);
    });
  },
);

/** Number of requests; `deno task fuzz` asks for more. */
const REQUESTS = Number(Deno.args.find((arg) => arg.startsWith("--fuzz="))?.slice("--fuzz=".length) ?? 1000);

async function fuzz(make: typeof datasetOf): Promise<void> {
  await withServer(3, async (ask, journal, dir) => {
    const random = new Random(1, "correct.fuzz");
    const one = <T>(list: readonly T[]): T => list[Math.floor(random.uniform() * list.length)]!;
    const secret = "the secret of another folder";
    await Deno.writeTextFile(`${dir}/../secret.txt`, secret);
    const before = await filesOf(dir), parent = [...Deno.readDirSync(`${dir}/..`)].length;
    const inside = make === datasetOf ? `${dir}/images` : dir, images = await filesOf(inside);
    const number = () => one([0, 1, 2, 3, -1, 1.5, 1e20, "0", null, NaN]);
    const pieces = [
      ..."set undo redo guess add find face image thumb compare faces events style.css cli correct app.ts .. ../.. %2e%2e %00 secret.txt"
        .split(" "),
      "metadata.jsonl",
      "0",
      "1",
      "\\",
      "",
      "é",
    ];
    const path = () =>
      Array.from({ length: Math.floor(random.uniform() * 5) }, () => one(pieces)).join(one(["/", "/", "//", "%2f"]));
    const state = (): unknown =>
      one<() => unknown>([
        () => shifted(journal.original(0), random.uniform()),
        () => ({ ...journal.original(1), verdict: one(["accepted", "rejected", null, "x"]), pinned: [number()] }),
        () => ({ landmarks: [[number(), number()]], occluded: [], pinned: [], verdict: null }),
        () => null,
      ])();
    const body = (formed: boolean): string => {
      const json = JSON.stringify(
        one<() => unknown>([
          () => ({ face: number(), revision: number(), state: state() }),
          () => ({ face: one([0, 1, 2]), revision: journal.view(0).revision, state: state() }),
          () => ({ face: number(), landmarks: [[number(), number()]] }),
          () => ({ file_name: one(["0.png", "1.png", "../secret.txt", "", 7]), box: [number(), 3, 20, number()] }),
          () => ({ file_name: one(["0.png", "2.png"]), box: [1, 2, 30 * random.uniform(), 40] }),
          () => ({ file_name: one(["0.png", "../secret.txt", 7]) }),
          () => ({ ["__proto__"]: { face: 0 }, file_name: "../../secret.txt" }),
          () => [[[[number()]]]],
        ])(),
      );
      return formed ? json : one([
        json,
        json,
        json,
        json.slice(0, random.uniform() * json.length),
        "\u0000" + json,
        "x".repeat(1e6 + 1e6 * random.uniform()),
      ]);
    };
    const counts = new Map<number, number>();
    for (let k = 0; k < REQUESTS; k++) {
      // A part of the requests is formed as those of the page, so that what is in them is looked at.
      const formed = random.uniform() < 0.3, hits = formed || random.uniform() < 0.6;
      const any = <T>(right: T, ...others: T[]): T => formed ? right : one([right, right, ...others]);
      const target = `${any("", "http://evil.example", "http://127.0.0.1:1")}/${any(TOKEN, "", "x")}/${
        hits
          ? one([
            "set",
            "undo",
            "redo",
            "guess",
            "adapt",
            "add",
            "add",
            "find",
            "face/0",
            "image/1",
            "thumb/2",
            "compare/1",
            "faces",
          ])
          : path()
      }`;
      const method = hits ? any("POST", "POST", "GET") : one(["GET", "POST", "PUT", "DELETE", "OPTIONS"]);
      const init: RequestInit = method === "GET" ? {} : {
        ...post(body(formed), {
          origin: any(`http://127.0.0.1:${PORT}`, "null", "http://evil.example"),
          "content-type": any("application/json", "text/plain", "multipart/form-data"),
        }),
        method,
      };
      let response: Response;
      try {
        response = await ask(target, init);
      } catch (error) {
        assert.fail(`${method} ${target} ${String(init.body).slice(0, 300)}: ${(error as Error).stack}`);
      }
      counts.set(response.status, (counts.get(response.status) ?? 0) + 1);
      assert.ok(response.status < 500, `${response.status} for ${method} ${target}`);
      if (response.headers.get("content-type") === "text/event-stream") await response.body!.cancel();
      else assert.ok(!(await response.text()).includes(secret));
    }
    assert.deepEqual([await filesOf(dir), await filesOf(inside)], [before, images]);
    assert.equal([...Deno.readDirSync(`${dir}/..`)].length, parent);
    assert.ok(counts.get(200) && counts.get(400) && counts.get(404) && counts.get(403), JSON.stringify([...counts]));
    for (const { landmarks } of parseCorrections(await Deno.readTextFile(`${dir}/${CORRECTIONS}`), "file")) {
      assert.equal(landmarks.length, 68, "what was written can be read");
    }
    const count = journal.faces.length;
    assert.ok(make === datasetOf ? count === 3 : count > 3, `there are ${count} faces`);
  }, make);
}

for (const make of [datasetOf, folderOf]) {
  Deno.test(
    `correct: ${REQUESTS} random requests read and write nothing but the faces, and none is a crash: ${make.name}`,
    async () => await fuzz(make),
  );
}
