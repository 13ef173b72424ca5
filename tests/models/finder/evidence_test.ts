import assert from "node:assert/strict";
import { evidenceValues, meanEvidence } from "../../../models/finder/evidence.ts";

Deno.test("meanEvidence() has the mean values of its looks", () => {
  const looks = [{ doubt: 0.01, features: Float32Array.of(0, 3) }, { doubt: 0.04, features: Float32Array.of(1, 8) }];
  const { doubt, features } = meanEvidence(looks);
  assert.ok(Math.abs(doubt - 0.02) < 1e-9 && Math.abs(features![1]! - 5) < 1e-5, `${doubt}, ${features}`);
  const [a, b] = looks.map(evidenceValues) as [number[], number[]];
  evidenceValues(meanEvidence(looks)).forEach((value, k) => assert.ok(Math.abs(value - (a[k]! + b[k]!) / 2) < 1e-6));
  assert.deepEqual(Object.keys(meanEvidence([{ doubt: 0.03 }])), ["doubt"]);
  assert.throws(() => meanEvidence([]), /looks/);
  assert.throws(() => meanEvidence([looks[0]!, { doubt: 0.01 }]), /values of the detector/);
});
