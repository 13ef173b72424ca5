import assert from "node:assert/strict";
import { type AdapterFacts, type AdapterRequest, enumerate, type Machine } from "../../engine/adapters.ts";

const H100 = { name: "NVIDIA H100 80GB HBM3", driver: "580", bytes: 80e9, address: "pci-0000_1b_00_0", device: "9008" };
const SECOND = { ...H100, address: "pci-0000_43_00_0" };
const A100 = { ...H100, name: "NVIDIA A100", bytes: 40e9, address: "pci-0000_c1_00_0", device: "8368" };
const facts = (description: string, vendor: string, device: string, software = false): AdapterFacts => ({
  description,
  vendor,
  device,
  software,
  features: [],
  limits: {},
});
const llvmpipe = facts("llvmpipe", "65541", "0", true);

/**
 * A machine whose Vulkan loader has llvmpipe, GPUs of NVIDIA of which it puts one first by its model, as the loader does,
 * and two of AMD, one for each power preference.
 */
function machine(gpus: Machine["gpus"], layer: boolean): Machine & { asked: AdapterRequest["environment"][] } {
  const asked: AdapterRequest["environment"][] = [];
  const ask: Machine["ask"] = (environment) => {
    asked.push(environment);
    const drivers = environment.VK_DRIVER_FILES ?? "amd.json:nvidia.json:lvp.json:intel.json";
    const model = environment.VK_LOADER_DEVICE_SELECT;
    const nvidia = gpus.find(({ device }) => model === `10de:${Number(device).toString(16)}`) ?? gpus[0];
    const first = drivers.includes("nvidia") && nvidia ? facts(nvidia.name, "4318", nvidia.device) : undefined;
    const amd = (name: string) => drivers.includes("amd") ? facts(name, "4098", name) : undefined;
    const software = drivers.includes("lvp") ? llvmpipe : undefined;
    const answers = [
      ["high-performance", amd("RX 7900") ?? first ?? software],
      ["low-power", amd("Radeon 780M") ?? first ?? software],
    ] as const;
    return Promise.resolve(
      answers.flatMap(([powerPreference, found]) => found ? [[{ environment, powerPreference }, found] as const] : []),
    );
  };
  return { drivers: ["amd.json", "lvp.json", "intel.json", "nvidia.json"], gpus, layer, ask, asked };
}

const names = async (one: Machine) =>
  (await enumerate(one)).map(({ description, address, selection }) =>
    [description, address, selection !== null].filter((part) => part !== null).join(" ")
  );

Deno.test("adapters: hardware first, both of a driver's two, and no software driver in place of a missing GPU", async () => {
  const one = machine([], false);
  assert.deepEqual(await names({ ...one, drivers: one.drivers.slice(0, 3) }), [
    "RX 7900 true",
    "Radeon 780M true",
    "llvmpipe true",
  ]);
  // A driver without a device is asked beside one that has one.
  assert.deepEqual(one.asked.map(({ VK_DRIVER_FILES }) => VK_DRIVER_FILES), [
    "amd.json:lvp.json",
    "lvp.json",
    "intel.json:lvp.json",
    undefined,
  ]);
});

Deno.test("adapters: GPUs of different models are chosen by their models", async () => {
  const list = await enumerate(machine([H100, A100], false));
  const [h100, a100] = list.filter(({ vendor }) => vendor === "4318");
  assert.deepEqual([h100!.description, h100!.memory, h100!.driver_version], [H100.name, 80e9, "580"]);
  assert.deepEqual([a100!.description, a100!.memory, a100!.address], [A100.name, 40e9, A100.address]);
  assert.equal(a100!.selection!.environment.VK_LOADER_DEVICE_SELECT, "10de:20b0");
});

Deno.test("adapters: of GPUs of one model only the first can be chosen, unless Mesa's layer is there", async () => {
  const nvidia = async (layer: boolean) => (await names(machine([H100, SECOND], layer))).filter((n) => /H100/.test(n));
  assert.deepEqual(await nvidia(false), [
    "NVIDIA H100 80GB HBM3 pci-0000_1b_00_0 true",
    "NVIDIA H100 80GB HBM3 pci-0000_43_00_0 false",
  ]);
  assert.deepEqual(await nvidia(true), [
    "NVIDIA H100 80GB HBM3 pci-0000_1b_00_0 true",
    "NVIDIA H100 80GB HBM3 pci-0000_43_00_0 true",
  ]);
  const [, second] = (await enumerate(machine([H100, SECOND], true))).filter(({ vendor }) => vendor === "4318");
  assert.equal(second!.selection!.environment.DRI_PRIME, SECOND.address);
});
