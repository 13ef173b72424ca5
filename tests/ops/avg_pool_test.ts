import assert from "node:assert";
import { reader, sumOver, tabulate } from "../../ops/_reference.ts";
import { avgPool } from "../../ops/avg_pool.ts";
import { dims, Graph } from "../../engine/graph.ts";
import { check } from "../check_op.ts";

check({
  name: "avgPool",
  compute: ([x], { size }) => [avgPool(x!, size)],
  reference([x], { size }) {
    const { N, H, W, C } = dims(x!, "N H W C");
    const X = reader(x!);
    return [
      tabulate(
        [N, H / size, W / size, C],
        (n, h, w, c) => sumOver([size, size], (i, j) => X(n, h * size + i, w * size + j, c)) / size ** 2,
      ),
    ];
  },
}, [
  { shapes: [[1, 2, 4, 1]], attrs: { size: 2 } },
  { shapes: [[2, 6, 9, 5]], attrs: { size: 3 } },
]);

Deno.test("avgPool() names a size that does not divide the maps", () => {
  assert.throws(() => avgPool(new Graph().input("odd", [1, 3, 4, 1])), /\[1, 3, 4, 1\] by 2/);
});
