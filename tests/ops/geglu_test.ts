import { reader, sumOver, tabulate } from "../../ops/_reference.ts";
import { geglu } from "../../ops/geglu.ts";
import { normalCdf } from "../../ops/gelu_grad.ts";
import { dims, extent } from "../../engine/graph.ts";
import { check } from "../check_op.ts";

check({
  name: "geglu",
  compute: ([x, w, bias]) => [geglu(x!, w!, bias!)],
  reference([x, w, bias]) {
    const { N, L, I } = dims(x!, "N L I");
    const O = extent(w!, 1) / 2;
    const [X, W, B] = [reader(x!), reader(w!), reader(bias!)];
    return [
      tabulate([N, L, O], (n, l, o) => {
        const projection = (k: number) => sumOver([I], (i) => X(n, l, i) * W(i, k)) + B(k);
        return projection(o) * projection(O + o) * normalCdf(projection(O + o));
      }),
    ];
  },
}, [
  { shapes: [[2, 1, 1], [1, 6], [6]], attrs: {} },
  { shapes: [[2, 3, 5], [5, 14], [14]], attrs: {} },
]);
