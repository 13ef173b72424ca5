import assert from "node:assert/strict";
import { layOut, lineChart } from "../../stages/report/_line_chart.ts";

const options = { title: "training", xLabel: "step" };

Deno.test("a line chart spans its data, and its ticks are round numbers", () => {
  const { left, right, top, bottom, xTicks, yTicks, lines } = layOut(
    [{ name: "a", x: [0, 5, 10], y: [1, 3, 2] }],
    options,
  );
  assert.deepEqual(lines[0]!.points, [[left, bottom], [(left + right) / 2, top], [right, (top + bottom) / 2]]);
  assert.deepEqual(xTicks.map(({ text }) => text), ["0", "2", "4", "6", "8", "10"]);
  assert.deepEqual(yTicks.map(({ text }) => text), ["1", "1.5", "2", "2.5", "3"]);
  assert.deepEqual([xTicks[0]!.at, xTicks.at(-1)!.at, yTicks[0]!.at, yTicks.at(-1)!.at], [left, right, bottom, top]);
});

Deno.test("steps have whole ticks, percents their sign, and one value a range of its own", () => {
  const { xTicks, yTicks, lines } = layOut([{ name: "a", x: [1, 2, 3], y: [0.5, 0.5, 0.5] }], {
    ...options,
    percent: true,
  });
  assert.deepEqual(xTicks.map(({ text }) => text), ["1", "2", "3"]);
  assert.deepEqual(yTicks.map(({ text }) => text), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
  assert.ok(lines[0]!.points.every(([, y]) => y === lines[0]!.points[0]![1]));
});

Deno.test("a logarithmic axis names few values, and gives a decade the same length everywhere", () => {
  const { top, bottom, yTicks, lines } = layOut([{ name: "a", x: [0, 1, 2, 3], y: [0.01, 0.1, 1, 10] }], {
    ...options,
    log: true,
  });
  const heights = lines[0]!.points.map(([, y]) => y);
  heights.forEach((y, k) => assert.ok(Math.abs(y - (bottom + (top - bottom) * k / 3)) <= 0.1, `${heights}`));
  const named = yTicks.map(({ text }) => text);
  for (const decade of ["0.01", "0.1", "1", "10"]) assert.ok(named.includes(decade), `${named}`);
  assert.ok(named.length <= 10, `${named}`);
});

Deno.test("values that are not finite are left out, and a chart of none is drawn", () => {
  const { lines } = layOut([{ name: "a", x: [0, 1, 2], y: [1, NaN, 3] }], options);
  assert.equal(lines[0]!.points.length, 2);
  const { text } = lineChart([{ name: "a", x: [0], y: [Infinity] }], options);
  assert.doesNotMatch(text, /NaN|undefined/);
});
