/**
 * The adapters of the machine, and the choice of one.
 *
 * WebGPU gives one adapter for a power preference, and no list. On Linux the Vulkan loader reads in its environment which
 * drivers it opens, so a list is made by asking with one driver after the other, each in a thread of its own.
 *
 * @module
 */

import { environment, machineMemory, mayRead, PLATFORM } from "../formats/host.ts";
import { exists, fileNames, isFolder } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { NVIDIA, type NvidiaGpu, nvidiaGpus } from "../formats/nvidia_smi.ts";

/** Properties of an adapter that WebGPU reports. */
export interface AdapterFacts {
  /** Its name, such as `NVIDIA H100 80GB HBM3`. */
  readonly description: string;
  /** Number of the vendor. */
  readonly vendor: string;
  /** Number of the model. */
  readonly device: string;
  /** True if a processor computes for it. */
  readonly software: boolean;
  /** WebGPU features. */
  readonly features: readonly string[];
  /** WebGPU limits. */
  readonly limits: Readonly<Record<string, number>>;
}

/** A request that gives a certain adapter. */
export interface AdapterRequest {
  /** Environment variables at the request. */
  readonly environment: Readonly<Record<string, string>>;
  /** Power preference of the request. */
  readonly powerPreference: GPUPowerPreference;
}

/** An adapter of the machine. */
export interface Adapter extends AdapterFacts {
  /** Path of the Vulkan driver's manifest; null if the host chose the driver. */
  readonly driver: string | null;
  /** Version of the driver; null if it is not known. */
  readonly driver_version: string | null;
  /** Place on the bus, such as `pci-0000_1b_00_0`; null if it is not known. */
  readonly address: string | null;
  /** Memory, bytes: of a software driver that of the machine; null if it is not known. */
  readonly memory: number | null;
  /** The request that gives it; null for a GPU that cannot be distinguished from others of its model. */
  readonly selection: AdapterRequest | null;
}

/** Folders in which the Vulkan loader looks for drivers, those of a user aside. */
const DRIVER_FOLDERS = ["/etc", "/usr/local/etc", "/usr/local/share", "/usr/share"].map((at) => `${at}/vulkan/icd.d`);
/** The manifest of NVIDIA's driver in containers, where the loader does not look. */
const CONTAINER_DRIVER = "/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json";
/** The layer of Mesa by which a GPU is chosen among others of its model. */
const SELECT_LAYERS = DRIVER_FOLDERS.map((at) =>
  at.replace("icd.d", "implicit_layer.d/VkLayer_MESA_device_select.json")
);
/** Drivers that compute on the processor, by the names of their manifests. */
const SOFTWARE_DRIVERS = /(lvp|swiftshader|swrast)[^/]*$/;

/** Reads the properties of an adapter. `isFallbackAdapter` is missing in Deno's types (2.9.6). */
export function factsOf({ info, features, limits }: GPUAdapter): AdapterFacts {
  const { description, vendor, device, isFallbackAdapter = false } = info as GPUAdapterInfo & {
    isFallbackAdapter?: boolean;
  };
  const values: Record<string, number> = {};
  for (const key in limits) {
    const value = (limits as unknown as Record<string, unknown>)[key];
    if (typeof value === "number") values[key] = value;
  }
  return { description, vendor, device, software: isFallbackAdapter, features: [...features].sort(), limits: values };
}

/** Paths in `VK_DRIVER_FILES`, or its older name, at which there is nothing. */
export function missingDrivers(): string[] {
  return namedDrivers()?.filter((path) => !exists(path)) ?? [];
}

/**
 * Environment variables with which the Vulkan loader finds the drivers that it would find by itself, and NVIDIA's in
 * containers, whose manifest lies elsewhere.
 */
export function driverEnvironment(): Record<string, string> {
  const elsewhere = PLATFORM === "linux" && mayRead(CONTAINER_DRIVER) && exists(CONTAINER_DRIVER) &&
    namedDrivers() === undefined;
  return elsewhere ? { VK_ADD_DRIVER_FILES: CONTAINER_DRIVER } : {};
}

/** The drivers that the environment names. */
function namedDrivers(): string[] | undefined {
  const paths = (environment("VK_DRIVER_FILES") || environment("VK_ICD_FILENAMES"))?.split(":").filter(Boolean);
  return paths?.length ? paths : undefined;
}

/** Manifests of the Vulkan drivers of the machine. */
async function manifests(): Promise<string[]> {
  const paths = namedDrivers() ?? [...DRIVER_FOLDERS, CONTAINER_DRIVER];
  const found: string[] = [];
  for (const path of paths) {
    if (!exists(path)) continue;
    if (await isFolder(path)) found.push(...fileNames(path).map((name) => `${path}/${name}`));
    else found.push(path);
  }
  return found.filter((path) => path.endsWith(".json"));
}

/** Asks for adapters in a thread of its own, one for each power preference. */
async function ask(environment: AdapterRequest["environment"]): Promise<(readonly [AdapterRequest, AdapterFacts])[]> {
  const worker = new Worker(new URL("./adapter_worker.ts", import.meta.url), { type: "module" });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<[GPUPowerPreference, AdapterFacts][]>();
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`Cannot ask for adapters: ${event.message}`));
    };
    worker.postMessage(environment);
    return (await promise).map(([powerPreference, facts]) => [{ environment, powerPreference }, facts] as const);
  } finally {
    worker.terminate();
  }
}

/**
 * Lists the adapters of the machine: hardware first, in the order of the drivers' manifests.
 *
 * GPUs of one model and vendor are distinguished by their places on the bus, which takes `nvidia-smi` and Mesa's
 * device-select layer; without the layer all but the first have no {@linkcode Adapter.selection}.
 */
export async function listAdapters(): Promise<Adapter[]> {
  const drivers = PLATFORM === "linux" ? await manifests() : [];
  return await enumerate({ drivers, gpus: await nvidiaGpus(), layer: SELECT_LAYERS.some(exists), ask });
}

/** The parts of a machine that {@linkcode enumerate} looks at. */
export interface Machine {
  /** Manifests of drivers. */
  readonly drivers: readonly string[];
  /** GPUs of NVIDIA. */
  readonly gpus: readonly NvidiaGpu[];
  /** True if Mesa's device-select layer is installed. */
  readonly layer: boolean;
  /** Asks for adapters with environment variables, one for each power preference. */
  ask(environment: AdapterRequest["environment"]): Promise<(readonly [AdapterRequest, AdapterFacts])[]>;
}

/** Lists the adapters of a machine, see {@linkcode listAdapters}. */
export async function enumerate(machine: Machine): Promise<Adapter[]> {
  const { drivers, gpus, ask } = machine;
  const found = new Map<string, Adapter>();
  const add = (driver: string | null, facts: AdapterFacts, selection: AdapterRequest | null, gpu?: NvidiaGpu) => {
    const known = gpu ?? gpus.find(({ device }) => facts.vendor === NVIDIA && device === facts.device);
    const key = [facts.vendor, facts.device, facts.description, gpu?.address].join(" ");
    if (found.has(key)) return;
    found.set(key, {
      ...facts,
      driver,
      driver_version: known?.driver ?? null,
      address: known?.address ?? null,
      memory: (facts.software ? machineMemory() : known?.bytes) ?? null,
      selection,
    });
  };
  // A driver that has no device writes an error to the console unless there is another beside it.
  const beside = drivers.find((path) => SOFTWARE_DRIVERS.test(path));
  for (const driver of drivers) {
    const software = SOFTWARE_DRIVERS.test(driver);
    const files = software || beside === undefined ? driver : `${driver}:${beside}`;
    const answers = (await ask({ VK_DRIVER_FILES: files })).filter(([, facts]) => facts.software === software);
    for (const [selection, facts] of answers) {
      if (facts.vendor !== NVIDIA || gpus.length < 2) add(driver, facts, selection);
    }
    const nvidia = answers.find(([, { vendor }]) => vendor === NVIDIA);
    if (!nvidia || gpus.length < 2) continue;
    for (const gpu of gpus) add(driver, ...await askNvidia(gpu, machine, ...nvidia), gpu);
  }
  for (const [selection, facts] of await ask(driverEnvironment())) {
    if (![...found.values()].some((one) => isSame(one, facts))) add(null, facts, selection);
  }
  return [...found.values()].sort((a, b) => Number(a.software) - Number(b.software));
}

/** Asks for one of several GPUs of NVIDIA; the request is null if it cannot be distinguished from others of its model. */
async function askNvidia(
  gpu: NvidiaGpu,
  { gpus, layer, ask }: Machine,
  { environment }: AdapterRequest,
  first: AdapterFacts,
): Promise<[AdapterFacts, AdapterRequest | null]> {
  const model = `10de:${Number(gpu.device).toString(16)}`;
  const answers = await ask({ ...environment, DRI_PRIME: gpu.address, VK_LOADER_DEVICE_SELECT: model });
  const answer = answers.find(([, { device }]) => device === gpu.device);
  // A model that the loader does not put first is not there for WebGPU.
  if (!answer) return [{ ...first, device: gpu.device, description: gpu.name }, null];
  const alike = gpus.filter(({ device }) => device === gpu.device);
  return [answer[1], alike[0] === gpu || layer ? answer[0] : null];
}

/** True if two descriptions are of the same model and driver. */
export function isSame(a: AdapterFacts, b: AdapterFacts): boolean {
  return a.vendor === b.vendor && a.device === b.device && a.description === b.description;
}

/**
 * Chooses adapters.
 *
 * @param wanted For each its number in {@linkcode listAdapters}, or a part of its name or of its driver's.
 * @throws {InputError} If there is no such adapter, or it cannot be distinguished from another.
 */
export async function chooseAdapters(wanted: readonly string[]): Promise<Adapter[]> {
  const adapters = wanted.length ? await listAdapters() : [];
  return wanted.map((one) => chooseAmong(adapters, one));
}

function chooseAmong(adapters: readonly Adapter[], wanted: string): Adapter {
  const text = wanted.trim().toLowerCase();
  const index = /^\d+$/.test(text)
    ? Number(text)
    : adapters.findIndex(({ description, driver }) => `${description} ${driver ?? ""}`.toLowerCase().includes(text));
  const adapter = text === "" ? undefined : adapters[index];
  if (!adapter) {
    const names = adapters.map(({ description }, k) => `${k}: ${description}`).join(", ") || "none";
    throw new InputError(`Cannot use GPU "${wanted}" as there is no such adapter`, { hint: `adapters: ${names}` });
  }
  if (!adapter.selection) {
    throw new InputError(
      `Cannot use GPU "${wanted}" (${adapter.description}, ${adapter.address}) as Vulkan does not tell it from others ` +
        "of its model",
      { hint: "install Mesa's device-select layer (mesa-vulkan-drivers), or give the process this GPU alone" },
    );
  }
  return adapter;
}

/** Memory of an adapter, bytes, without its place among others of its model; undefined if it is not known. */
export async function adapterMemory(facts: AdapterFacts): Promise<number | undefined> {
  if (facts.software) return machineMemory();
  if (facts.vendor !== NVIDIA) return undefined;
  return (await nvidiaGpus()).find(({ device }) => device === facts.device)?.bytes;
}
