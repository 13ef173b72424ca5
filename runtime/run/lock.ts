/**
 * Locks on a run's folder that hold between processes, and between machines that share a file system.
 *
 * A lock is a file that says who holds it. It appears whole and by one holder's hand, as a hard link to a file of its own:
 * link(2) fails where there is one already, on network file systems too. Its holder also holds the kernel's lock (flock) on
 * it, which ends with the process, so on the holder's machine a lock is never stale. On another machine a holder that runs
 * within a Slurm job is gone when Slurm says that the job is. No time is compared: clocks of nodes may differ.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { exists, readJsonIfUsable, removeIfExists } from "../../formats/files.ts";

/** The process that holds a lock: the content of its file. */
export interface Owner {
  /** Its id. */
  readonly process: number;
  /** Name of its machine, if it knows that; without one it counts as this machine. */
  readonly host?: string;
  /** The Slurm job that it runs in, such as `17` or `17_3` for a task of an array. */
  readonly job?: string;
  /** Time at which it took the lock, ISO 8601, by the clock of its machine. */
  readonly since: string;
}

/** Resolves to true if a Slurm job is queued or running; undefined if Slurm cannot be asked. */
export type JobProbe = (job: string) => Promise<boolean | undefined>;

/** A lock that another process holds. */
export class LockedError extends Error {
  /** The class. */
  override readonly name = "LockedError";

  /** Takes the file, and the holder as far as it is known. */
  constructor(readonly path: string, readonly owner: Owner | null) {
    super(`${path} is held by ${owner ? describeOwner(owner) : "another process"}`);
  }
}

/** A holder in words, such as `process 41 on node7, job 17_3 (since …)`. */
export function describeOwner({ process, host, job, since }: Owner): string {
  const where = isHere(host) ? "" : ` on ${host}`;
  return `process ${process}${where}${job === undefined ? "" : `, Slurm job ${job}`} (since ${since})`;
}

/**
 * Takes a lock.
 *
 * @param path Its file; the folder is made if it is not there.
 * @param isJobAlive Asks Slurm about a holder on another machine; without it such a holder counts as alive.
 * @returns The lock; disposing of it removes the file.
 * @throws {LockedError} If another process holds it.
 */
export async function takeLock(path: string, isJobAlive?: JobProbe): Promise<Disposable> {
  const dir = dirname(path);
  Deno.mkdirSync(dir, { recursive: true });
  const mine = join(dir, `.${basename(path).replace(/^\./, "")}.${crypto.randomUUID()}`);
  const file = Deno.openSync(mine, { write: true, create: true, truncate: true });
  try {
    file.tryLockSync(true);
    file.writeSync(new TextEncoder().encode(`${JSON.stringify(thisProcess())}\n`));
    while (!linked(mine, path)) await removeStale(path, `${mine}.stale`, isJobAlive);
  } catch (error) {
    file.close(); // the disk is full: who tries again must not find it locked
    throw error;
  } finally {
    removeIfExists(mine);
  }
  const taken = fileId(path);
  return {
    [Symbol.dispose]() {
      // A process that took this one for dead may hold the lock by now.
      if (fileId(path) === taken) removeIfExists(path);
      file.close();
    },
  };
}

/**
 * The process that holds a lock; undefined when none does, null when it is not known which. Reads only, and asks nobody:
 * a holder on another machine counts as alive.
 */
export function ownerOf(path: string): Owner | null | undefined {
  const owner = readOwner(path);
  if (owner && !isHere(owner.host)) return owner;
  return isLocked(path) ? owner ?? null : undefined;
}

/** As {@linkcode ownerOf}, asking Slurm about a holder on another machine. */
export async function liveOwnerOf(path: string, isJobAlive?: JobProbe): Promise<Owner | null | undefined> {
  const owner = ownerOf(path);
  if (!owner || isHere(owner.host) || owner.job === undefined) return owner;
  return await isJobAlive?.(owner.job) === false ? undefined : owner;
}

/** Gives a file a second name; false if there is one of that name. */
function linked(from: string, to: string): boolean {
  try {
    Deno.linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

/**
 * Removes a lock whose holder is gone.
 *
 * @param aside A name that no other process uses.
 * @throws {LockedError} If the holder is alive.
 */
async function removeStale(path: string, aside: string, isJobAlive: JobProbe | undefined): Promise<void> {
  const judged = fileId(path);
  const owner = await liveOwnerOf(path, isJobAlive);
  if (owner !== undefined) throw new LockedError(path, owner);
  try {
    Deno.renameSync(path, aside);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return; // another process was quicker
    throw error;
  }
  // It may be the lock of a process that was quicker: that one gets it back.
  if (fileId(aside) !== judged) linked(aside, path);
  removeIfExists(aside);
}

/** Identity of a file, unlike that of one that takes its place; undefined where there is none. */
function fileId(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev} ${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** True if a process holds the kernel's lock on a file. */
function isLocked(path: string): boolean {
  if (!exists(path)) return false;
  try {
    using file = Deno.openSync(path);
    return !file.tryLockSync(false);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Reads a lock's file; undefined if it says nothing. */
function readOwner(path: string): Owner | undefined {
  const owner = readJsonIfUsable<Partial<Owner>>(path);
  if (typeof owner?.process !== "number") return undefined;
  const { process, host, job, since = "an unknown time" } = owner;
  return { process, ...(host !== undefined && { host }), ...(job !== undefined && { job }), since };
}

/** This process as the holder of a lock. */
function thisProcess(): Owner {
  const { SLURM_JOB_ID, SLURM_ARRAY_JOB_ID, SLURM_ARRAY_TASK_ID } = slurmVariables();
  const job = SLURM_ARRAY_JOB_ID === undefined ? SLURM_JOB_ID : `${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}`;
  const host = thisHost();
  return {
    process: Deno.pid,
    ...(host !== undefined && { host }),
    ...(job !== undefined && { job }),
    since: new Date().toISOString(),
  };
}

const SLURM = ["SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"] as const;

/** Slurm's variables of this process, as far as it may read them. */
function slurmVariables(): Partial<Record<typeof SLURM[number], string>> {
  const read = (variable: string) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted" ? Deno.env.get(variable) : undefined;
  return Object.fromEntries(SLURM.flatMap((name) => read(name) === undefined ? [] : [[name, read(name)]]));
}

/** Name of this machine; undefined if the process may not know it. */
function thisHost(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? Deno.hostname() : undefined;
}

/** True if a holder is on this machine. */
function isHere(host: string | undefined): boolean {
  const here = thisHost();
  return host === undefined || here === undefined || host === here;
}
