/**
 * Stages in threads of their own, so that some go on side by side.
 *
 * A thread has its own event loop and its own GPU device: waiting for the GPU holds up the thread that waits, and a
 * driver that computes on the processor leaves a core idle wherever a stage waits.
 *
 * @module
 */
import { localExecutor } from "./executor.ts";
import { type StageExecutor, type StageJob, StageRunError } from "./job.ts";
import type { Adapter } from "../../engine/adapters.ts";
import { type Device, DeviceLostError, type DeviceOptions, NoAdapterError } from "../../engine/device.ts";
import type { PipelineStage, Registry } from "../pipeline/file.ts";
import type { RunEvent } from "./progress.ts";
import type { Manifest } from "./cache.ts";
import { errorOf, type ErrorText, textOf } from "../../engine/worker_pool.ts";

/** A job as it goes to a thread, which knows the stage's type by its id. */
interface SentJob extends Omit<StageJob, "state"> {
  readonly uses: string;
  readonly state: Omit<StageJob["state"], "stage"> & { readonly stage: Omit<PipelineStage, "spec"> };
}

/** A message to a thread. */
type Command =
  | { readonly job: SentJob }
  | { readonly abort: true }
  | { readonly close: true }
  | { readonly device: DeviceOptions }
  | { readonly noDevice: ErrorText };

/** A message from it. */
type Reply =
  | { readonly event: RunEvent }
  | { readonly asks: "device" }
  | { readonly opened: true }
  | { readonly made: Manifest }
  | { readonly closed: true }
  | { readonly failed: ErrorText; readonly resumed: boolean; readonly seconds: number };

/** Environment variable of Mesa's CPU driver: its threads for each device, 0 for the calling thread alone. */
const DRIVER_THREADS = "LP_NUM_THREADS";

/**
 * Has a driver that computes on the processor take a part of the cores for each device, unless `LP_NUM_THREADS` is set: two that
 * both take all of them wait for each other. Such a driver reads the environment when the device is opened.
 *
 * @returns A function that restores the variable.
 */
function shareCores(devices: number): () => void {
  const { state } = Deno.permissions.querySync({ name: "env", variable: DRIVER_THREADS });
  if (state !== "granted" || Deno.env.get(DRIVER_THREADS) !== undefined) return () => {};
  const cores = Math.floor(navigator.hardwareConcurrency / devices);
  Deno.env.set(DRIVER_THREADS, String(cores > 1 ? cores : 0));
  return () => Deno.env.delete(DRIVER_THREADS);
}

/** Threads that make stages, each begun when there is something to make. */
export class StageThreads {
  /** Executors, one for each thread. */
  readonly executors: readonly StageExecutor[];
  readonly #workers: Worker[] = [];
  readonly #unshare: () => void;
  #device: Promise<DeviceOptions> | undefined;
  /** Ends when the thread before has opened its device: the choice of an adapter is in the environment of the process. */
  #turn: Promise<void> = Promise.resolve();

  /**
   * @param module A module that calls {@linkcode serveStages}.
   * @param count Number of threads.
   * @param open Opens the GPU; all threads open theirs alike.
   * @param adapters Adapters to share out among the threads in its place.
   */
  constructor(
    module: URL,
    count: number,
    private readonly open: () => Promise<Device>,
    private readonly adapters: readonly Adapter[] = [],
  ) {
    this.#unshare = shareCores(count);
    this.executors = Array.from({ length: count }, (_, thread) => {
      let worker: Worker | undefined;
      return async (job, signal, emit) => {
        if (!worker) this.#workers.push(worker = new Worker(module, { type: "module" }));
        return await this.#make(worker, thread, job, signal, emit);
      };
    });
  }

  #make(
    worker: Worker,
    thread: number,
    job: StageJob,
    signal: AbortSignal,
    emit: (event: RunEvent) => void,
  ): Promise<Manifest> {
    const send = (command: Command) => worker.postMessage(command);
    const begun = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<Manifest>();
    const abort = () => send({ abort: true });
    // Reporting an event may itself fail, as on a full disk; the stage ends before that error is thrown.
    let failure: { error: unknown } | undefined;
    let opened = () => {};
    worker.onmessage = async ({ data: reply }: MessageEvent<Reply>) => {
      if ("event" in reply) {
        try {
          emit(reply.event);
        } catch (error) {
          failure ??= { error };
          abort();
        }
      } else if ("asks" in reply) {
        const before = this.#turn;
        const turn = Promise.withResolvers<void>();
        this.#turn = turn.promise;
        opened = turn.resolve;
        await before;
        send(await this.#optionsOf(thread).then((device) => ({ device }), (error) => ({ noDevice: textOf(error) })));
      } else if ("opened" in reply) opened();
      else if (failure) reject(new StageRunError(failure.error, false, (performance.now() - begun) / 1000));
      else if ("made" in reply) resolve(reply.made);
      else if ("failed" in reply) reject(new StageRunError(knownError(reply.failed), reply.resumed, reply.seconds));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#workers.splice(this.#workers.indexOf(worker), 1); // it answers nothing more
      const error = new Error(`The thread of the stage failed: ${event.message}`);
      reject(new StageRunError(error, false, (performance.now() - begun) / 1000));
    };
    const { state: { stage: { spec, ...stage }, key, recipe, dir }, ...rest } = job;
    send({ job: { ...rest, uses: spec.id, state: { stage, key, recipe, dir } } });
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    return promise.finally(() => {
      opened();
      signal.removeEventListener("abort", abort);
    });
  }

  /** Options of the device of a thread. */
  async #optionsOf(thread: number): Promise<DeviceOptions> {
    const adapter = this.adapters[thread % this.adapters.length];
    if (this.adapters.length > 1) return { adapter };
    return { ...await this.#likeFirst(), ...adapter && { adapter } };
  }

  /** Properties measured when the first device is opened: a measurement while another stage computes would differ. */
  #likeFirst(): Promise<DeviceOptions> {
    return this.#device ??= this.open().then(({ storage, tiled, staged, destroy }) => {
      destroy();
      return { storage, tiled, staged };
    });
  }

  /**
   * Frees the devices of the threads and ends the threads.
   *
   * @param leave Leaves the threads to the end of the process, which follows. NVIDIA's driver 580 crashed in most processes
   * that exited while threads that had used it were being ended.
   */
  async close(leave = false): Promise<void> {
    await Promise.all(this.#workers.map((worker) => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      worker.onmessage = resolve;
      worker.postMessage({ close: true } satisfies Command);
      return promise;
    }));
    if (!leave) { for (const worker of this.#workers) worker.terminate(); }
    this.#unshare();
  }
}

/** An error of a thread, of a class that is distinguished here. */
function knownError(text: ErrorText): Error {
  const known = [DeviceLostError, NoAdapterError].find(({ name }) => name === text.name);
  return known ? new known(text.message) : errorOf(text);
}

/** Global scope of a worker, as far as it is used. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Command>) => void) | null;
  postMessage(reply: Reply): void;
}

/**
 * Makes the module a thread for stages: to be called once, at its top level.
 *
 * @param registry The types of the stages that it can make.
 * @param openDevice Opens its GPU.
 */
export function serveStages(registry: Registry, openDevice: (options: DeviceOptions) => Promise<Device>): void {
  const scope = globalThis as unknown as WorkerScope;
  let stop = new AbortController();
  let answered = Promise.withResolvers<DeviceOptions>();
  const { make, close } = localExecutor(async () => {
    answered = Promise.withResolvers();
    scope.postMessage({ asks: "device" });
    try {
      return await openDevice(await answered.promise);
    } finally {
      scope.postMessage({ opened: true });
    }
  });
  scope.onmessage = async ({ data: command }) => {
    if ("abort" in command) stop.abort();
    else if ("close" in command) {
      await close();
      scope.postMessage({ closed: true });
    } else if ("device" in command) answered.resolve(command.device);
    else if ("noDevice" in command) answered.reject(knownError(command.noDevice));
    else {
      stop = new AbortController();
      const { uses, state: { stage, ...state }, ...rest } = command.job;
      try {
        const spec = await registry[uses]!();
        const job = { ...rest, state: { ...state, stage: { ...stage, spec } } };
        scope.postMessage({ made: await make(job, stop.signal, (event) => scope.postMessage({ event })) });
      } catch (error) {
        const { cause, resumed, seconds } = StageRunError.of(error);
        scope.postMessage({ failed: textOf(cause), resumed, seconds });
      }
    }
  };
}
