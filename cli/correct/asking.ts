/// <reference lib="dom" />
/**
 * Requests of a page to its server.
 *
 * @module
 */

/** An answer that is an error. */
export class ServerError extends Error {
  /** The class. */
  override readonly name = "ServerError";
  /** Status of HTTP; 0 if there was no answer. */
  readonly status: number;

  /** Takes the status and the text of the answer. */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Functions that ask the server. */
export interface Asking {
  /** Resolves to an answer that is no error. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Sends a body as JSON, and resolves to the JSON of the answer. */
  post<T>(path: string, body: object): Promise<T>;
}

/**
 * Makes the functions of a page.
 *
 * @param noAnswer Message of the error where the server does not answer.
 */
export function asking(noAnswer: string): Asking {
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(path, init);
    } catch {
      throw new ServerError(0, noAnswer);
    }
    if (!response.ok) throw new ServerError(response.status, await response.text());
    return response;
  };
  return {
    ask,
    async post<T>(path: string, body: object): Promise<T> {
      const headers = { "content-type": "application/json" };
      return await (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
    },
  };
}
