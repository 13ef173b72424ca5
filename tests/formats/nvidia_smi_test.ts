import assert from "node:assert/strict";
import { parseNvidiaSmi } from "../../formats/nvidia_smi.ts";

Deno.test("the list of nvidia-smi: names, memory, places as Mesa's layer takes them, ids as WebGPU has them", () => {
  const text = "NVIDIA H100 80GB HBM3, 580.159.04, 81559, 00000000:1B:00.0, 0x233010DE\n" +
    "NVIDIA A100-SXM4-40GB, 580.159.04, 40960, 00000000:C1:00.0, 0x20B010DE\n";
  assert.deepEqual(parseNvidiaSmi(text), [
    {
      name: "NVIDIA H100 80GB HBM3",
      driver: "580.159.04",
      bytes: 81559 * 2 ** 20,
      address: "pci-0000_1b_00_0",
      device: "9008",
    },
    {
      name: "NVIDIA A100-SXM4-40GB",
      driver: "580.159.04",
      bytes: 40960 * 2 ** 20,
      address: "pci-0000_c1_00_0",
      device: "8368",
    },
  ]);
});

Deno.test("lines of nvidia-smi of another form are no GPUs", () => {
  assert.deepEqual(parseNvidiaSmi("No devices were found\n"), []);
  assert.deepEqual(parseNvidiaSmi("NVIDIA X, 580, [N/A], 00000000:1B:00, 0x233010DE"), []);
});
