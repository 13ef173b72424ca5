import assert from "node:assert/strict";
import { Graph } from "../../../engine/graph.ts";
import {
  ANGLE_WEIGHT,
  BOX_BETA,
  CELL_VALUES,
  finderConfig,
  finderLoss,
  finderNetwork,
  finderTrainable,
  finderTraining,
  LOGIT_LIMIT,
  TARGET_VALUES,
} from "../../../models/finder/network.ts";
import { countParameters } from "../../../models/io/params.ts";
import { check, spreadNumbers } from "../../check_op.ts";

Deno.test("a finder has the shapes and the number of parameters of its config", () => {
  const { specs, cells } = finderNetwork(new Graph(), finderConfig.parse({}), [2, 64, 96]);
  assert.deepEqual(cells.shape, [2, 8, 12, CELL_VALUES]);
  assert.equal(countParameters(specs), 783_606);
  assert.deepEqual(specs.get("finder/c8.block.0.conv.weight")?.shape, [3, 3, 48, 48]);
  const deeper = finderNetwork(new Graph(), finderConfig.parse({ blocks: 2 }), [2, 64, 96]).specs;
  // Two more blocks of two convolutions without bias, each with a norm of four vectors.
  assert.equal(countParameters(deeper), 783_606 + 2 * (9 * 96 * 96 + 4 * 96) + 2 * (9 * 128 * 128 + 4 * 128));
});

Deno.test("a finder's training has the same parameters, and updates all running statistics", () => {
  const config = finderConfig.parse({ stem: 4, c4: 4, c8: 8, c16: 8, c32: 8, neck: 8 });
  const { specs } = finderNetwork(new Graph(), config, [1, 32, 32]);
  const training = finderTraining(new Graph(), config, 2, 64);
  assert.deepEqual([...training.specs], [...specs]);
  const statistics = [...specs.keys()].filter((name) => !finderTrainable(specs).includes(name));
  assert.equal(training.updates.length, statistics.length);
  assert.ok(statistics.length > 0 && statistics.every((name) => /running_(mean|var)$/.test(name)));
});

Deno.test("finderConfig names what does not fit", () => {
  const { error } = finderConfig.safeParse({ stem: 2, calibration: { slope: -1, shift: 0 } });
  assert.deepEqual(error?.issues.map(({ path }) => path.join(".")), ["stem", "calibration.slope"]);
});

/** Weights are not negative, and few cells are centres. */
const target = (element: number) => {
  const value = spreadNumbers(1, element);
  return element % TARGET_VALUES < 3 ? Math.max(0, value) : value;
};

check(
  {
    name: "finderLoss",
    compute: ([cells, targets]) => [finderLoss(cells!, targets!)],
    reference: ([cells, targets]) => {
      let loss = 0;
      for (let k = 0; k < cells!.data.length / CELL_VALUES; k++) {
        const [logit = NaN, ...values] = cells!.data.slice(k * CELL_VALUES, (k + 1) * CELL_VALUES);
        const [c = NaN, b = NaN, w = NaN, ...wanted] = targets!.data.slice(
          k * TARGET_VALUES,
          (k + 1) * TARGET_VALUES,
        );
        const p = 1 / (1 + Math.exp(-Math.min(LOGIT_LIMIT, Math.max(-LOGIT_LIMIT, logit))));
        loss -= c * (1 - p) ** 2 * Math.log(p) + b * p ** 2 * Math.log(1 - p);
        values.forEach((value, j) => {
          const d = Math.abs(value - wanted[j]!);
          const length = d < BOX_BETA ? d * d / (2 * BOX_BETA) : d - BOX_BETA / 2;
          loss += w * (j < 3 ? length : ANGLE_WEIGHT * d * d);
        });
      }
      return [{ shape: [1], data: Float64Array.of(loss) }];
    },
  },
  [
    { shapes: [[1, 1, 1, CELL_VALUES], [1, 1, 1, TARGET_VALUES]] },
    { shapes: [[2, 3, 5, CELL_VALUES], [2, 3, 5, TARGET_VALUES]] },
  ].map((shapes) => ({
    ...shapes,
    attrs: {},
    fill: (input: number, element: number) => input === 1 ? target(element) : 2 * spreadNumbers(0, element),
    wrt: [0],
  })),
);
