/**
 * NVIDIA's GPUs by the list of `nvidia-smi`, which has the facts that WebGPU hides: memory, driver and place on the bus.
 *
 * @module
 */

import { hostProgram } from "./host.ts";

/** A GPU of NVIDIA. */
export interface NvidiaGpu {
  /** Its model, such as `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  /** Version of the driver. */
  readonly driver: string;
  /** Memory, bytes. */
  readonly bytes: number;
  /** Place on the bus, such as `pci-0000_1b_00_0`. */
  readonly address: string;
  /** Id of the model on the PCI bus, as WebGPU has it. */
  readonly device: string;
}

/** Id of NVIDIA on the PCI bus, as WebGPU has it. */
export const NVIDIA = String(0x10de);

const FIELDS = ["name", "driver_version", "memory.total", "pci.bus_id", "pci.device_id"];

/**
 * Lists NVIDIA's GPUs that this process may use.
 *
 * @returns None where there is no `nvidia-smi`, or it may not be run.
 */
export async function nvidiaGpus(): Promise<NvidiaGpu[]> {
  const text = await hostProgram("nvidia-smi", [`--query-gpu=${FIELDS}`, "--format=csv,noheader,nounits"]);
  return text === undefined ? [] : parseNvidiaSmi(text);
}

/** Reads the output of `nvidia-smi` with these fields as CSV without a header or units; lines of another form are skipped. */
export function parseNvidiaSmi(text: string): NvidiaGpu[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", driver = "", mib = "", bus = "", id = ""] = line.split(",").map((field) => field.trim());
    // The bus is `00000000:1B:00.0`: domain, bus, device and function; the id has the model before the vendor.
    const [, domain, at, device, part] = /^[0-9a-f]{4}([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-9])$/i.exec(bus) ??
      [];
    const [, model] = /^0x([0-9a-f]{4})10de$/i.exec(id) ?? [];
    if (part === undefined || model === undefined) return [];
    return [{
      name,
      driver,
      bytes: Number(mib) * 2 ** 20,
      address: `pci-${domain}_${at}_${device}_${part}`.toLowerCase(),
      device: String(Number(`0x${model}`)),
    }];
  });
}
