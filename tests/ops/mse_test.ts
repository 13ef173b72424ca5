import { mse } from "../../ops/mse.ts";
import { check } from "../check_op.ts";

check({
  name: "mse",
  compute: ([x, y]) => [mse(x!, y!)],
  reference: ([x, y]) => [{
    shape: [1],
    data: Float64Array.of(x!.data.reduce((sum, v, k) => sum + (v - y!.data[k]!) ** 2, 0) / x!.data.length),
  }],
}, [
  { shapes: [[2, 3], [2, 3]], attrs: {} },
  { shapes: [[3, 5, 7], [3, 5, 7]], attrs: {} },
]);
