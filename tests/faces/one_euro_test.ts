import assert from "node:assert/strict";
import { OneEuroFilter } from "../../faces/one_euro.ts";

Deno.test("OneEuroFilter has the numbers of another implementation of the paper's algorithm", () => {
  // Python, algorithm 1 of the paper with the norm of both coordinates' speeds, in float64.
  const points = [[10, 20], [11, 20.5], [10.5, 19.5], [14, 22], [20, 26], [27, 30], [27.5, 30]];
  const seconds = [1, 0.04, 0.04, 0.04, 0.08, 0.04, 0.04];
  const expected = [
    [10, 20],
    [10.3955, 20.1978],
    [10.4348, 19.9356],
    [12.7138, 21.2552],
    [19.1013, 25.4148],
    [25.8354, 29.3239],
    [27.2334, 29.8917],
  ];
  const filter = new OneEuroFilter({ min_cutoff_hz: 1.2, beta: 0.5 });
  points.forEach((point, k) => {
    const found = filter.next(Float32Array.from(point), seconds[k]!, 2);
    found.forEach((value, i) => assert.ok(Math.abs(value - expected[k]![i]!) < 2e-4, `${found} at ${k}`));
  });
});

Deno.test("OneEuroFilter leaves points at rest alone, and points apart do not mix", () => {
  const filter = new OneEuroFilter({ min_cutoff_hz: 1, beta: 1 });
  for (let k = 0; k < 10; k++) {
    const [x, y, u, v] = filter.next(Float32Array.of(5, 6, 100 * k, 0), 0.04);
    assert.deepEqual([x, y, v], [5, 6, 0]);
    assert.ok(u! <= 100 * k && u! > 100 * k - 120);
  }
});
