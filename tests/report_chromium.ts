/**
 * Pages in headless Chromium, by its DevTools protocol: for tests, and for pictures of pages.
 *
 * ```sh
 * deno run -R -W=/tmp,docs -N=127.0.0.1 --allow-run=chromium tests/report_chromium.ts \
 *   runs/full/report/index.html docs/report.png --height=1225
 * ```
 *
 * takes a picture; `--width`, `--height`, `--phone` (390 x 844, touch), `--dark`, `--whole` (to the end of the page) and
 * `--at=SELECTOR` (that element at the top) say of what.
 *
 * @module
 */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { slowTest } from "./slow.ts";
import { parseArgs } from "node:util";

/** Rest of a finger at the end of a drag, milliseconds. */
const REST_MS = 150;

/** How a page is looked at. */
export interface View {
  /** CSS pixels. */
  readonly width: number;
  /** CSS pixels. */
  readonly height: number;
  /** As on a phone: touch, no pointer, scroll bars that take no room. */
  readonly phone?: boolean;
  readonly dark?: boolean;
}

/** Whether there is a Chromium that may be run. */
export function hasChromium(): boolean {
  try {
    return new Deno.Command("chromium", { args: ["--version"], stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) return false;
    throw error;
  }
}

/** Registers a slow test in Chromium, which is passed over where there is none. */
export function chromiumTest(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  if (hasChromium()) slowTest(name, fn);
  else Deno.test({ name: `${name}: skipped, as there is no Chromium`, fn, ignore: true });
}

type Message = Record<string, unknown>;
/** A place on the page, CSS pixels. */
type Place = readonly [x: number, y: number];

/** A page and what it said and asked for. */
export class Page {
  /** Errors and warnings of the console, exceptions, and what the browser says of the page. */
  readonly problems: string[] = [];
  /** Addresses that were asked for, but for `data:`. */
  readonly requests: string[] = [];

  constructor(private readonly send: (method: string, params?: Message) => Promise<Message>) {}

  /** The value of an expression, awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    assert.ok(!answer["exceptionDetails"], JSON.stringify(answer["exceptionDetails"]));
    return (answer["result"] as { value: T }).value;
  }

  /** Waits until an expression is true, at most so many seconds. */
  async until(expression: string, seconds = 30): Promise<void> {
    const condition = `new Promise((resolve, reject) => {
      const started = Date.now();
      (function look() {
        if (${expression}) return resolve(true);
        if (Date.now() - started > ${1000 * seconds}) return reject(new Error(${JSON.stringify(expression)}));
        setTimeout(look, 20);
      })();
    })`;
    assert.equal(await this.evaluate(condition), true);
  }

  /** Moves the pointer to the middle of an element, or taps there. */
  async point(selector: string, how: "hover" | "tap" = "hover"): Promise<void> {
    const [x, y] = await this.evaluate<[number, number]>(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      element.scrollIntoView({ block: "center", behavior: "instant" });
      const { left, top, width, height } = element.getBoundingClientRect();
      return [left + width / 2, top + height / 2];
    })()`);
    if (how === "hover") {
      await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
    } else {
      await this.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x, y }] });
      await this.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    }
  }

  /** Presses the pointer at a place, moves it by steps, and lets go; CSS pixels. */
  async drag(from: Place, to: Place, { steps = 4, how = "mouse" }: { steps?: number; how?: "mouse" | "touch" } = {}) {
    const at = (k: number) => ({
      x: from[0] + (to[0] - from[0]) * k / steps,
      y: from[1] + (to[1] - from[1]) * k / steps,
    });
    const send = (type: "down" | "move" | "up", k: number) => {
      if (how === "mouse") {
        const names = { down: "mousePressed", move: "mouseMoved", up: "mouseReleased" };
        const buttons = { button: "left", buttons: 1, clickCount: 1 };
        return this.send("Input.dispatchMouseEvent", { type: names[type], ...at(k), ...buttons });
      }
      const names = { down: "touchStart", move: "touchMove", up: "touchEnd" };
      return this.send("Input.dispatchTouchEvent", {
        type: names[type],
        touchPoints: type === "up" ? [] : [at(k)],
      });
    };
    if (how === "mouse") await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", ...at(0) });
    await send("down", 0);
    for (let k = 1; k <= steps; k++) await send("move", k);
    if (how === "touch") {
      // A finger that rests before it lifts: one lifted in motion flings, and what it taps next only ends the fling.
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
      await send("move", steps);
    }
    await send("up", steps);
  }

  /** Moves the pointer to a place, or turns its wheel there. */
  async hover([x, y]: Place, wheel = 0): Promise<void> {
    await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
    if (wheel) await this.send("Input.dispatchMouseEvent", { type: "mouseWheel", x, y, deltaX: 0, deltaY: wheel });
  }

  /** Two fingers that move apart or together about a place. */
  async pinch([x, y]: Place, before: number, after: number): Promise<void> {
    const fingers = (half: number) => [{ x: x - half, y, id: 1 }, { x: x + half, y, id: 2 }];
    await this.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: fingers(before).slice(0, 1) });
    await this.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: fingers(before) });
    for (const share of [0.33, 0.66, 1]) {
      const half = before + (after - before) * share;
      await this.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: fingers(half) });
    }
    await this.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  }

  /** Presses a key, such as `a`, `Enter` or `ArrowLeft`. */
  async key(key: string, { alt = false, control = false, shift = false } = {}): Promise<void> {
    const modifiers = (alt ? 1 : 0) + (control ? 2 : 0) + (shift ? 8 : 0);
    const [, code = key] = /^([a-z])$/.exec(key) ? [key, `Key${key.toUpperCase()}`] : [];
    const text = key.length === 1 && !alt && !control ? { text: key } : key === "Enter" ? { text: "\r" } : {};
    const virtual: Readonly<Record<string, number>> = {
      Enter: 13,
      Tab: 9,
      Escape: 27,
      ArrowLeft: 37,
      ArrowUp: 38,
      ArrowRight: 39,
      ArrowDown: 40,
    };
    const windowsVirtualKeyCode = virtual[key] ?? (key.length === 1 ? key.toUpperCase().charCodeAt(0) : 0);
    await this.send("Input.dispatchKeyEvent", {
      type: "keyDown",
      key,
      code,
      modifiers,
      windowsVirtualKeyCode,
      ...text,
    });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, code, modifiers, windowsVirtualKeyCode });
  }

  /** A PNG of what is seen, or of the whole page. */
  async screenshot(whole = false): Promise<Uint8Array> {
    const { data } = await this.send("Page.captureScreenshot", {
      captureBeyondViewport: whole,
      ...(whole && { clip: await this.extent() }),
    });
    return Uint8Array.fromBase64(data as string);
  }

  private async extent(): Promise<Message> {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    return { ...(cssContentSize as Message), scale: 1 };
  }
}

/** A browser without a window; dispose of it. */
export class Browser implements AsyncDisposable {
  private calls = 0;
  private readonly waiting = new Map<number, (message: Message) => void>();
  private readonly pages = new Map<string, Page>();
  private readonly loaded = new Map<string, () => void>();

  private constructor(
    private readonly process: Deno.ChildProcess,
    private readonly profile: string,
    private readonly socket: WebSocket,
  ) {
    socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
  }

  /** Starts the browser; `webgpu` for one with WebGPU, on SwiftShader. */
  static async open({ webgpu = false }: { webgpu?: boolean } = {}): Promise<Browser> {
    const profile = await Deno.makeTempDir({ prefix: "facewright_" });
    // A container's root cannot have the sandbox, and needs none for pages of our own.
    const args = ["--headless", "--no-sandbox", "--remote-debugging-port=0", `--user-data-dir=${profile}`];
    args.push(...webgpu ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"] : ["--disable-gpu"]);
    args.push("--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "about:blank");
    const process = new Deno.Command("chromium", { args, stdout: "null", stderr: "piped" }).spawn();
    const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let text = "", address: string | undefined;
    while (!(address = /DevTools listening on (ws:\S+)\s/.exec(text)?.[1])) {
      const { value, done } = await reader.read();
      assert.ok(!done, `Chromium ended: ${text}`);
      text += value;
    }
    await reader.cancel();
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => [socket.onopen, socket.onerror] = [resolve, reject]);
    return new Browser(process, profile, socket);
  }

  /** Opens an address; resolves when it and its images are loaded. */
  async visit(url: string, { width, height, phone = false, dark = false }: View): Promise<Page> {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const send = (method: string, params: Message = {}) => this.send(method, params, sessionId as string);
    const page = new Page(send);
    this.pages.set(sessionId as string, page);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await send(`${domain}.enable`);
    await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: phone });
    await send("Emulation.setTouchEmulationEnabled", { enabled: phone });
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
    await send("Emulation.setEmulatedMedia", { features });
    const loaded = new Promise<void>((resolve) => this.loaded.set(sessionId as string, resolve));
    await send("Page.navigate", { url });
    await loaded;
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.send("Browser.close");
    await this.process.status;
    this.socket.close();
    await Deno.remove(this.profile, { recursive: true });
  }

  private send(method: string, params: Message = {}, sessionId?: string): Promise<Message> {
    const id = ++this.calls;
    this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) => {
      this.waiting.set(
        id,
        ({ result, error }) =>
          error ? reject(new Error(`${method}: ${JSON.stringify(error)}`)) : resolve(result as Message),
      );
    });
  }

  private receive(message: Message): void {
    this.waiting.get(message["id"] as number)?.(message);
    const session = message["sessionId"] as string;
    const page = this.pages.get(session), params = message["params"] as Message;
    switch (message["method"]) {
      case "Page.loadEventFired":
        return this.loaded.get(session)?.();
      case "Runtime.exceptionThrown":
        return void page?.problems.push(JSON.stringify(params["exceptionDetails"]));
      case "Runtime.consoleAPICalled":
        return void (params["type"] !== "log" && page?.problems.push(JSON.stringify(params["args"])));
      case "Log.entryAdded":
        return void page?.problems.push(JSON.stringify(params["entry"]));
      case "Network.requestWillBeSent": {
        const { url } = params["request"] as { url: string };
        return void (url.startsWith("data:") || page?.requests.push(url));
      }
    }
  }
}

if (import.meta.main) {
  const { values, positionals: [from, to] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      width: { type: "string", default: "1280" },
      height: { type: "string", default: "900" },
      phone: { type: "boolean" },
      dark: { type: "boolean" },
      whole: { type: "boolean" },
      at: { type: "string" },
    },
  });
  const { phone = false, dark = false, whole = false, at } = values;
  const size = phone ? { width: 390, height: 844 } : { width: Number(values.width), height: Number(values.height) };
  await using browser = await Browser.open();
  const url = /^https?:/.test(from!) ? from! : pathToFileURL(from!).href;
  const page = await browser.visit(url, { ...size, phone, dark });
  if (at) await page.evaluate(`document.querySelector(${JSON.stringify(at)}).scrollIntoView()`);
  await Deno.writeFile(to!, await page.screenshot(whole));
}
