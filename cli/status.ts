/**
 * The command `status`.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { exists, folderNames } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { formatField, formatSeconds, formatTable } from "../runtime/run/progress.ts";
import { readRun, type RunState } from "../runtime/run/status.ts";
import { type Context, UsageError } from "./command.ts";

/** Declares `status`. */
export const status = ({ print, note }: Context) =>
  new Command()
    .argument("[DIR]", "folder of a run; all in runs/ without one")
    .option("--json", "print one JSON value")
    .addHelpText("after", "\nExample:\n  deno task status runs/full")
    .action(async (dir, { json }) => {
      if (dir === undefined) {
        const states = await allRuns(note);
        if (json) print(JSON.stringify(states));
        else if (!states.length) print("there is no run in runs/");
        else print(formatTable(states.map((state) => ({ run: state.pipeline, ...headline(state) }))));
        return;
      }
      const state = readRun(dir);
      if (!state) {
        throw new UsageError(
          `Cannot read the state of "${dir}" as no run left a log there, hint: deno task run pipelines/full.yaml writes runs/full`,
        );
      }
      print(json ? JSON.stringify(state) : describe(state));
    });

/** The state of every run; one that cannot be read is noted. */
async function allRuns(note: Context["note"]): Promise<RunState[]> {
  const names = exists("runs") ? await folderNames("runs") : [];
  return names.flatMap((name) => {
    try {
      return readRun(`runs/${name}`) ?? [];
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      note(error.message);
      return [];
    }
  });
}

/** A run in a few words. */
function headline({ status, owner, stages, updated }: RunState) {
  const done = stages.filter((stage) => stage.status === "done" || stage.status === "skipped").length;
  const at = stages.filter((stage) => !["done", "skipped", "waiting"].includes(stage.status)).map((
    { stage, progress },
  ) => progress ? `${stage} ${progress.done}/${progress.total}` : stage);
  return {
    state: owner ? `${status}, process ${owner.process}` : status,
    stages: `${done} of ${stages.length} done`,
    at: at.join(", ") || "-",
    updated: updated ? ago(updated) : "-",
  };
}

function ago(time: string): string {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  // The clock may have been moved back meanwhile.
  return seconds < 0 ? time : `${formatSeconds(seconds)} ago`;
}

/** A run with a line for each stage. */
function describe(state: RunState): string {
  const { state: words, updated } = headline(state);
  const lines = [`${state.pipeline}: ${words}; last news ${updated}`];
  if (state.message) lines.push(state.message);
  const rows = state.stages.map(({ stage, status, seconds, progress }) => {
    const fields = Object.entries(progress?.fields ?? {}).map(([name, value]) => `${name} ${formatField(value, name)}`);
    return {
      stage,
      state: status,
      time: formatSeconds(seconds),
      progress: progress ? [`${progress.done}/${progress.total}`, ...fields].join("  ") : "",
    };
  });
  lines.push("", formatTable(rows));
  if (state.results.length) lines.push("", formatTable(state.results));
  if (state.status !== "running" && state.status !== "done" && state.command) {
    lines.push("", `hint: go on with deno task ${state.command}`);
  }
  return lines.join("\n");
}
