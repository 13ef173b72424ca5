import assert from "node:assert/strict";
import { UsageError } from "../../cli/command.ts";
import { explain, reportOf } from "../../cli/_error_report.ts";
import { DeviceLostError, NoAdapterError } from "../../engine/device.ts";
import { errorOf, textOf } from "../../engine/worker_pool.ts";
import { PickleError } from "../../formats/pickle_globals.ts";
import { writeError } from "../../formats/disk_error.ts";
import { InputError } from "../../formats/input_error.ts";
import { PipelineError } from "../../formats/yaml_tree.ts";
import { StageError } from "../../runtime/run/run.ts";
import { runCommand } from "./run_command.ts";

Deno.test("InputError puts the place before the sentence and the hint behind it", () => {
  const error = new InputError("Cannot read it: 67 points", { place: "a.pts:3:1", hint: "68 are expected" });
  assert.equal(error.message, "a.pts:3:1: Cannot read it: 67 points, hint: 68 are expected");
  assert.deepEqual([error.name, error.place, error.hint], ["InputError", "a.pts:3:1", "68 are expected"]);
  assert.equal(new InputError("Cannot read it").message, "Cannot read it");
});

Deno.test("what a user did is explained without a trace; exit code 2", () => {
  const wrong = [
    new InputError("Cannot read a.pts"),
    new UsageError("Cannot run it"),
    new PickleError("it is cut short"),
  ];
  for (const error of wrong) assert.deepEqual(explain(error), { text: error.message, exit: 2 });
});

Deno.test("what the machine did is explained without a trace; exit code 1", () => {
  const full = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  const missing = (() => {
    try {
      return Deno.readTextFileSync("tests/no such file");
    } catch (error) {
      return error as Error;
    }
  })() as Error;
  for (const error of [missing, new NoAdapterError("no adapter"), new DeviceLostError("lost")]) {
    assert.deepEqual(explain(error), { text: error.message, exit: 1 });
  }
  const text = "No space left on device (os error 28), hint: free space on that disk";
  assert.deepEqual(explain(full), { text, exit: 1 });
  const written = writeError(full, "a/b.json");
  assert.deepEqual(explain(written), { text: `Cannot write a/b.json: ${text}`, exit: 1 });
});

Deno.test("any other error is a bug: its trace, and exit code 1", () => {
  const bug = new TypeError("Cannot read properties of undefined");
  const report = `${bug.stack}\nthis is a bug in Facewright`;
  assert.match(bug.stack!, /errors_test\.ts:\d+/);
  assert.deepEqual(explain(bug), { text: report, exit: 1 });
  const bad = Object.assign(new Error("Bad file descriptor"), { code: "EBADF" });
  assert.match(explain(bad).text, /this is a bug in Facewright$/);
  assert.deepEqual(explain("a text"), { text: "a text\nthis is a bug in Facewright", exit: 1 });
  const failed = new StageError("train", "failed", "Cannot finish stage", bug);
  assert.deepEqual(explain(failed), { text: `Cannot finish stage\n\n${report}`, exit: 1 });
});

Deno.test("a stage that failed by what a user did is no bug", () => {
  const failed = new StageError("train", "failed", "Cannot finish stage", new InputError("Cannot read a.pts"));
  assert.deepEqual(explain(failed), { text: "Cannot finish stage", exit: 1 });
  const stopped = new StageError("train", "interrupted", "Stopped", new DOMException("stop", "AbortError"));
  assert.deepEqual(explain(stopped), { text: "Stopped", exit: 130 });
});

Deno.test("an InputError of another thread is one here too, whatever it was derived from", () => {
  const error = errorOf(structuredClone(textOf(new PickleError("it is cut short"))));
  assert(error instanceof InputError);
  assert.equal(error.message, "it is cut short");
});

Deno.test("an error for programs has its code, its place, its hint and each mistake of a pipeline", () => {
  const usage = new UsageError("Cannot detect: no, hint: yes\nusage: detect (--help lists the options)");
  assert.deepEqual(reportOf(usage), { code: "usage", message: "Cannot detect: no", hint: "yes", where: undefined });
  const input = new InputError("Cannot read it", { code: "format", place: "a.pts:3:1", hint: "68 are expected" });
  const same = errorOf(structuredClone(textOf(input)));
  for (const error of [input, same]) {
    assert.deepEqual(reportOf(error), {
      code: "format",
      message: "Cannot read it",
      hint: "68 are expected",
      where: "a.pts:3:1",
    });
  }
  const at = { source: { name: "a.yaml", text: "a: 1\nb: 2" }, offset: 5 };
  assert.deepEqual(reportOf(new PipelineError([{ at, message: "Cannot use b", hint: "a" }], "a.yaml")), {
    code: "pipeline",
    message: "1 error in a.yaml",
    problems: [{ message: "Cannot use b", hint: "a", where: "a.yaml:2:1" }],
  });
  const codes: [unknown, string][] = [
    [new NoAdapterError("none"), "no_adapter"],
    [new DeviceLostError("lost"), "device_lost"],
    [new Deno.errors.NotCapable("no"), "permission"],
    [new Deno.errors.NotFound("no"), "missing"],
    [Object.assign(new Error("full"), { code: "ENOSPC" }), "disk"],
    [new TypeError("x is undefined"), "bug"],
    [new StageError("train", "failed", "Cannot finish", new PickleError("it is cut short")), "format"],
    [new StageError("train", "interrupted", "Stopped, hint: again", undefined), "interrupted"],
  ];
  for (const [error, code] of codes) assert.equal(reportOf(error).code, code);
  assert.deepEqual(reportOf(codes.at(-1)![0]), {
    code: "interrupted",
    message: "Stopped",
    hint: "again",
    stage: "train",
  });
});

Deno.test("--json: an error is the last line, with exit code and text as without", async () => {
  const commands: [string[], string][] = [
    [["run", "none.yaml", "--json"], "missing"],
    [["plan", "pipelines/full.yaml", "--set", "x=1", "--json"], "pipeline"],
    [["plan", "pipelines/full.yaml", "--only", "x", "--json"], "run"],
    [["status", "nowhere", "--json"], "usage"],
    [["tune", "--percent", "-3", "--json"], "usage"],
    [["score", "--data", "tests/nowhere", "--json"], "missing"],
    [["bench", "--onyl", "x", "--json"], "usage"],
  ];
  for (const [args, code] of commands) {
    const { code: exit, lines, notes } = await runCommand(args);
    assert.equal(exit, 2);
    const { error } = JSON.parse(lines.at(-1)!);
    assert.equal(error.code, code, notes);
    assert.ok(error.message && notes.includes(error.message.split("\n")[0]));
  }
  const { lines } = await runCommand(["validate", "pipelines/full.yaml", "--json"]);
  assert.deepEqual(lines.map((line) => JSON.parse(line)), [{ file: "pipelines/full.yaml", stages: 15, unset: [] }]);
});
