import { quickGelu } from "../../ops/quick_gelu.ts";
import { check } from "../check_op.ts";

check({
  name: "quickGelu",
  compute: ([x]) => [quickGelu(x!)],
  reference: ([x]) => [{ ...x!, data: x!.data.map((v) => v / (1 + Math.exp(-1.702 * v))) }],
}, [{ shapes: [[41]], attrs: {}, fill: (_, k) => (k - 20) / 4 }]);
