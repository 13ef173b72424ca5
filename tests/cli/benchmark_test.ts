import assert from "node:assert/strict";
import { createImage } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { formatPts } from "../../faces/pts.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { inFolder } from "../stages/run_stages.ts";
import { runCommand } from "./run_command.ts";

/** Eye distance of the faces, pixels. */
const IOD = 0.356 * 64;

/**
 * Writes a folder of twelve faces, half of them by each of two artists, and landmarks that two tools found in them: off to
 * the right by some percent of the eye distance.
 */
async function writeFaces(dir: string, off: readonly (readonly [tool: string, a: number, b: number])[]) {
  await Deno.mkdir(dir, { recursive: true });
  const face = neutralFace(64);
  const rows = ["name,style,group"];
  for (let i = 0; i < 12; i++) {
    const [name, style] = [`f${i}`, i < 6 ? "ink" : "oil"];
    rows.push(`${name},${style},artist_${i < 6 ? "a" : "b"}`);
    await writePng(`${dir}/${name}.png`, createImage(64, 64, [i, 0, 0]));
    await Deno.writeTextFile(`${dir}/${name}.pts`, formatPts(face));
    for (const [folder, a, b] of off) {
      await Deno.mkdir(folder, { recursive: true });
      const shift = (i < 6 ? a : b) * IOD / 100;
      await Deno.writeTextFile(`${folder}/${name}.pts`, formatPts(face.map((px, k) => k % 2 ? px : px + shift)));
    }
  }
  await Deno.writeTextFile(`${dir}/index.csv`, rows.join("\n") + "\n");
}

const PAGE = `# Results

Some text.

<!-- benchmark: overall -->

| old | table |

<!-- /benchmark -->

<!-- benchmark: overall detector=foa data=art -->
<!-- /benchmark -->

<!-- benchmark: summary -->
<!-- /benchmark -->

<!-- benchmark: regions data=photos -->
<!-- /benchmark -->

<!-- benchmark: groups -->
<!-- /benchmark -->

<!-- benchmark: styles detector=dlib data=art -->
<!-- /benchmark -->

<!-- benchmark: offsets detector=foa data=art most=2 -->
<!-- /benchmark -->
`;

Deno.test("benchmark measures tools on several folders and writes the tables of a page", () =>
  inFolder(async (dir) => {
    // Predictions for each folder of data, or, of the second tool, of a folder for all.
    const [art, photos] = [`${dir}/art`, `${dir}/photographs`];
    await writeFaces(art, [[`${dir}/dlib/art`, 3, 9], [`${dir}/foa`, 2, 2]]);
    await writeFaces(photos, [[`${dir}/dlib/photos`, 1, 1]]);
    const page = `${dir}/page.md`;
    await Deno.writeTextFile(page, PAGE);
    // deno-fmt-ignore
    const args = [
      "--predicted", `${dir}/dlib`, "--predicted", `${dir}/foa`, "--data", art, "--data", `photos=${photos}`,
      "--page", page, "--out", `${dir}/out`,
    ];
    const { code, lines, notes } = await runCommand(["benchmark", ...args]);
    assert.equal(code, 0, notes);
    assert.match(notes, /^dlib on art: 6\.00 % on 12 faces$/m);
    assert.match(lines.join("\n"), /^detector +dataset +images +nme_interocular +fr_10/m);

    const text = await Deno.readTextFile(page);
    const section = (mark: string) => {
      const [, after = ""] = text.split(`<!-- benchmark: ${mark} -->\n`);
      return after.split("<!-- /benchmark -->")[0]!.trim().split("\n").map((line) =>
        line.replace(/^\| | \|$/g, "").split("|").map((cell) => cell.trim())
      );
    };
    assert.deepEqual(section("overall").toSpliced(1, 1), [
      ["detector", "measured on", "images", "NME, %", "FR10, %", "AUC10", "FR8, %", "AUC8"],
      // drawn are the groups: both of one artist, or one of each
      ["dlib", "art", "12", "6.00 (3.00, 9.00)", "0.0", "0.400", "50.0", "0.312"],
      ["foa", "art", "12", "2.00 (2.00, 2.00)", "0.0", "0.800", "0.0", "0.750"],
      ["dlib", "photos", "12", "1.00 (1.00, 1.00)", "0.0", "0.900", "0.0", "0.875"],
      ["foa", "photos", "12", "2.00 (2.00, 2.00)", "0.0", "0.800", "0.0", "0.750"],
    ]);
    assert.deepEqual(section("overall detector=foa data=art").slice(2).map(([name]) => name), ["foa"]);
    assert.deepEqual(section("summary").toSpliced(1, 1), [
      ["detector", "art: NME, %", "FR10, %", "photos: NME, %", "FR10, %"],
      ["dlib", "6.00", "0.0", "1.00", "0.0"],
      ["foa", "2.00", "0.0", "2.00", "0.0"],
    ]);
    assert.deepEqual(section("regions data=photos")[2], [
      "dlib",
      "photos",
      ..."11111".split("").map((n) => `${n}.0`),
      "0.00",
    ]);
    assert.deepEqual(section("groups").filter(([data]) => data !== "photos").slice(2), [
      ["art", "artist_a", "6", "3.00", "2.00"],
      ["art", "artist_b", "6", "9.00", "2.00"],
    ]);
    assert.deepEqual(section("styles detector=dlib data=art").slice(2), [
      ["art", "ink", "6", "3.00"], // no interval from one artist
      ["art", "oil", "6", "9.00"],
    ]);
    const offsets = section("offsets detector=foa data=art most=2").slice(2);
    assert.deepEqual(offsets.map(([name, data, , x, y]) => [name, data, x, y]), [
      ["foa", "art", "+2.0", "+0.0"],
      ["foa", "art", "+2.0", "+0.0"],
    ]);
    const { success, stderr } = await new Deno.Command("deno", { args: ["fmt", "--check", "--line-width=120", page] })
      .output();
    assert.ok(success, new TextDecoder().decode(stderr));

    // The same from what was kept, which changes nothing.
    const again = await runCommand(["benchmark", "--results", `${dir}/out/results.json`, "--page", page]);
    assert.equal(again.code, 0, again.notes);
    assert.equal(await Deno.readTextFile(page), text);
    assert.ok((await Deno.stat(`${dir}/out/photos_ced.svg`)).size > 0);

    // Published figures beside them; what is measured takes the place of what was.
    const published = `${dir}/published.json`;
    await Deno.writeTextFile(
      published,
      JSON.stringify({
        rows: [
          { detector: "star", dataset: "famous", images: 160, nme_interocular: 6.2, fr_10: 13.21, auc_10: 0.514 },
          { detector: "foa", dataset: "art", images: 12, nme_interocular: 99, fr_10: 99, auc_10: 0 },
        ],
      }),
    );
    await Deno.writeTextFile(
      page,
      "<!-- benchmark: summary detector=star,foa data=art,famous -->\n<!-- /benchmark -->\n\n" +
        "<!-- benchmark: overall detector=star -->\n<!-- /benchmark -->\n",
    );
    const beside = await runCommand(["benchmark", ...args.slice(2, 6), "--results", published, "--page", page]);
    assert.equal(beside.code, 0, beside.notes);
    const joined = (await Deno.readTextFile(page)).split("\n").map((line) => line.replaceAll(/ +/g, " "));
    assert.deepEqual(joined.filter((line) => /^\| (star|foa|detector)/.test(line)), [
      "| detector | art: NME, % | FR10, % | famous: NME, % | FR10, % |",
      "| star | – | – | 6.20 | 13.2 |",
      "| foa | 2.00 | 0.0 | – | – |",
      "| detector | measured on | images | NME, % | FR10, % | AUC10 |",
      "| star | famous | 160 | 6.20 | 13.2 | 0.514 |",
    ]);
    await Deno.writeTextFile(page, PAGE);

    const few = await runCommand(["benchmark", ...args.slice(0, 6), "--exclude", "f1*", "--exclude", "f?"]);
    assert.match(few.notes, /none of its 12 images is chosen/);
    const ten = await runCommand(["benchmark", ...args.slice(0, 6), "--exclude", "f1?"]);
    assert.match(ten.notes, /^foa on art: 2\.00 % on 10 faces$/m);

    const reject = async (mark: string, message: RegExp) => {
      await Deno.writeTextFile(page, mark);
      const { code, notes } = await runCommand(["benchmark", ...args]);
      assert.match(notes, message);
      assert.doesNotMatch(notes, /faces$/m, "nothing is measured before");
      assert.equal(code, 2);
      assert.equal(await Deno.readTextFile(page), mark);
    };
    const end = "<!-- /benchmark -->\n";
    await reject("No mark.\n", /page\.md: it has 0 marks that open a table and 0 that close one, hint: write lines/);
    await reject(
      `\n<!-- benchmark: overal -->\n${end}`,
      /page\.md:2: there is no table "overal", hint: did you mean "overall"/,
    );
    await reject(
      `<!-- benchmark: overall data=arts -->\n${end}`,
      /data "arts" is not measured, hint: did you mean "art"/,
    );
    await reject(`<!-- benchmark: overall by=art -->\n${end}`, /"by=art" is no choice, hint: detector=NAME/);
    await reject(
      `<!-- benchmark: offsets most=0 -->\n${end}`,
      /most must be a whole number from 1: current value is 0/,
    );
    await reject(
      `<!-- benchmark: overall -->\n<!-- benchmark: groups -->\n${end}`,
      /2 marks that open a table and 1 that/,
    );
  }));

Deno.test("benchmark refuses arguments that contradict each other", async () => {
  const reject = async (args: string[], message: RegExp) => {
    const { code, notes } = await runCommand(["benchmark", ...args]);
    assert.match(notes, message);
    assert.equal(code, 2);
  };
  await reject([], /Cannot benchmark without data, hint: --data DIR/);
  await reject(["--data", "a", "--data", "b/a"], /two folders called "a", hint: --data NAME=b\/a/);
  await reject(["--results", "deno.json"], /Cannot read deno.json as results: it has no rows/);
  await reject(["--results", "mod.ts"], /Cannot read mod.ts as JSON/);
});
