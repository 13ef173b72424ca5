import assert from "node:assert/strict";
import { SCHEMAS } from "../../faces/schema.ts";
import { formatPts, parsePts } from "../../faces/pts.ts";

const points = Array.from({ length: 68 }, (_, i) => `${i}.5 ${2 * i}`);
const whole = `version: 1\nn_points: 68\n{\n${points.join("\n")}\n}\n`;

Deno.test("parsePts() and formatPts() give the same landmarks back", () => {
  const landmarks = parsePts(whole, SCHEMAS.ibug68);
  assert.deepEqual([...landmarks.slice(0, 4)], [0.5, 0, 1.5, 2]);
  assert.deepEqual(parsePts(formatPts(landmarks), SCHEMAS.ibug68), landmarks);
});

Deno.test("parsePts() takes any white space, and counts from 1 with origin 1", () => {
  const odd = `version:1 \r\nn_points :  68\r\n\r\n{ ${points.join(" \t\r\n\r\n")} }`;
  assert.deepEqual(parsePts(odd, SCHEMAS.ibug68), parsePts(whole, SCHEMAS.ibug68));
  assert.deepEqual(
    parsePts(whole, SCHEMAS.ibug68, { origin: 1 }),
    parsePts(whole, SCHEMAS.ibug68).map((value) => value - 1),
  );
});

Deno.test("parsePts() names file, line and what is wrong", () => {
  const cases: [string, RegExp][] = [
    ["", /Cannot read a\.pts:1: there is no \{/],
    ["version: 1\n1 2", /a\.pts:2: "1" stands before the \{/],
    [whole.replace("\n}", ""), /a\.pts:72: the \} is missing/],
    [whole.replace("2.5 4", "2.5 x"), /a\.pts:6: "x" is no number/],
    [whole.replace("2.5 4", "2.5"), /a\.pts:73: there are 135 numbers instead of 136/],
    [whole.replace(": 68", ": 66"), /a\.pts:2: n_points is 66 instead of 68/],
    [whole + "7", /a\.pts:73: "7" stands after the \}/],
    [whole.replace("2.5 4", "NaN 4"), /a\.pts:6: "NaN" is no number/],
  ];
  for (const [text, message] of cases) assert.throws(() => parsePts(text, SCHEMAS.ibug68, { name: "a.pts" }), message);
});
