/**
 * Requests to the servers of pages, without a network.
 *
 * @module
 */
import type { LocalServer } from "../../cli/_local_server.ts";

/** Port that a server takes for its own, and a secret for its paths. */
export const PORT = 8788, TOKEN = "0123456789abcdef0123456789abcdef";

/** Sends a request, for a path of the server or a whole address, and resolves to the answer. */
export type Ask = (path: string, init?: RequestInit) => Promise<Response>;

/** The way to send requests to a server. */
export const askOf = (server: Pick<LocalServer, "handle">): Ask => (path, init) =>
  server.handle(new Request(path.startsWith("/") ? `http://127.0.0.1:${PORT}${path}` : path, init), PORT);

/** A POST as a page sends it: JSON, from the page's origin; a text is sent as it is. */
export const post = (body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit => ({
  method: "POST",
  headers: { origin: `http://127.0.0.1:${PORT}`, "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

/** Status of an answer whose body nobody reads. */
export async function statusOf(answer: Promise<Response>): Promise<number> {
  const response = await answer;
  await response.body?.cancel();
  return response.status;
}
