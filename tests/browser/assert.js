// What the ops' tests use of node:assert, for browsers.
class AssertionError extends Error {}

const show = (value) =>
  JSON.stringify(value, (_, v) => ArrayBuffer.isView(v) ? [...v] : v instanceof RegExp ? String(v) : v);

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Map || a instanceof Set) return same([...a], [...b]);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

function fits(error, expected) {
  if (expected === undefined) return true;
  if (expected instanceof RegExp) return expected.test(String(error));
  if (typeof expected === "function") return error instanceof expected;
  return Object.entries(expected).every(([key, value]) =>
    value instanceof RegExp ? value.test(error[key]) : same(error[key], value)
  );
}

export function ok(value, message = "the value is not truthy") {
  if (!value) throw new AssertionError(message);
}

export function equal(a, b, message = "") {
  if (!Object.is(a, b)) throw new AssertionError(`${message} ${show(a)} is not ${show(b)}`);
}

export function notEqual(a, b, message = "") {
  if (Object.is(a, b)) throw new AssertionError(`${message} both are ${show(a)}`);
}

export function deepEqual(a, b, message = "") {
  if (!same(a, b)) throw new AssertionError(`${message} ${show(a)} is not ${show(b)}`);
}

export function notDeepEqual(a, b, message = "") {
  if (same(a, b)) throw new AssertionError(`${message} both are ${show(a)}`);
}

export function throws(call, expected) {
  try {
    call();
  } catch (error) {
    if (fits(error, expected)) return;
    throw new AssertionError(`the error is "${error}", not ${show(expected)}`);
  }
  throw new AssertionError("nothing is thrown");
}

export async function rejects(promise, expected) {
  try {
    await (typeof promise === "function" ? promise() : promise);
  } catch (error) {
    if (fits(error, expected)) return;
    throw new AssertionError(`the error is "${error}", not ${show(expected)}`);
  }
  throw new AssertionError("nothing is thrown");
}

export function match(text, pattern) {
  if (!pattern.test(text)) throw new AssertionError(`"${text}" does not match ${pattern}`);
}

export function fail(message) {
  throw new AssertionError(message);
}

export default Object.assign(ok, {
  ok,
  equal,
  strictEqual: equal,
  notEqual,
  deepEqual,
  deepStrictEqual: deepEqual,
  notDeepEqual,
  throws,
  rejects,
  match,
  fail,
});
