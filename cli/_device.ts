/**
 * The choice of the GPU on the command line, and the line that names it.
 *
 * @module
 */
import { Option } from "@commander-js/extra-typings";
import { type Adapter, type AdapterFacts, chooseAdapters, missingDrivers } from "../engine/adapters.ts";
import { describeAdapter, type Device, openDevice } from "../engine/device.ts";
import { nvidiaGpus } from "../formats/nvidia_smi.ts";
import type { Context } from "./command.ts";

/** `--gpu`, for one GPU. */
export const gpuOption = () =>
  new Option("--gpu <N|NAME>", "GPU to compute on: its number in deno task doctor --list, or a part of its name");

/** Opens the GPU that an option chose, or the default one, and notes which it is. */
export async function openChosen(gpu: string | undefined, { note }: Pick<Context, "note">): Promise<Device> {
  const adapter = gpu === undefined ? undefined : (await chooseAdapters([gpu]))[0];
  note(`device: ${await deviceLine(adapter)}`);
  return await openDevice({ adapter });
}

/** A GPU that is opened for the first that asks for it. */
export class LazyDevice implements AsyncDisposable {
  #device: Promise<Device> | undefined;

  /** Takes the choice of the GPU, and what notes it. */
  constructor(private readonly gpu: string | undefined, readonly note: Context["note"]) {}

  /** The GPU. */
  open(): Promise<Device> {
    return this.#device ??= openChosen(this.gpu, this);
  }

  /** Frees it, if it was opened. */
  async [Symbol.asyncDispose](): Promise<void> {
    (await this.#device?.catch(() => undefined))?.destroy();
  }
}

/**
 * Names the adapter that computes, and says if it is a software driver's.
 *
 * @param adapter The one that was chosen; without it the default one.
 */
export async function deviceLine(adapter?: Adapter): Promise<string> {
  const facts = await describeAdapter({ adapter });
  const lacking = missingDrivers().map((path) => `; VK_DRIVER_FILES names ${path}, where there is nothing`).join("");
  if (!facts.software) return facts.description + lacking;
  const idle = adapter ? [] : [...new Set((await nvidiaGpus()).map(({ name }) => name))];
  const unused = idle.length
    ? `; nvidia-smi lists ${idle.join(", ")}, whose Vulkan driver was not loaded: see docs/servers.md`
    : "";
  return softwareName(facts) + unused + lacking;
}

function softwareName({ description }: AdapterFacts): string {
  return `${description}, a software driver: the processor computes`;
}
