import { reader, sumOver, tabulate } from "../../ops/_reference.ts";
import { linear } from "../../ops/linear.ts";
import { dims, extent } from "../../engine/graph.ts";
import { check } from "../check_op.ts";

check({
  name: "linear",
  compute: ([x, w, bias]) => [linear(x!, w!, bias)],
  reference([x, w, bias]) {
    const { N, L, I } = dims(x!, "N L I");
    const [X, W] = [reader(x!), reader(w!)];
    const B = bias ? reader(bias) : () => 0;
    return [tabulate([N, L, extent(w!, 1)], (n, l, o) => sumOver([I], (i) => X(n, l, i) * W(i, o)) + B(o))];
  },
}, [
  { shapes: [[1, 2, 3], [3, 2], [2]], attrs: {} },
  { shapes: [[2, 5, 8], [8, 7]], attrs: {} },
]);
