import assert from "node:assert/strict";
import { UsageError } from "../../cli/command.ts";
import { explain } from "../../cli/main.ts";
import { DeviceLostError, NoAdapterError } from "../../engine/device.ts";
import { errorOf, textOf } from "../../engine/worker_pool.ts";
import { PickleError } from "../../formats/pickle_globals.ts";
import { writeError } from "../../formats/disk_error.ts";
import { InputError } from "../../formats/input_error.ts";
import { StageError } from "../../runtime/run/run.ts";

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
