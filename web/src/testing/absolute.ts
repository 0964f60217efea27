/** Node's own `Request` takes no path alone, as a browser's does: `vi.stubGlobal("Request", Absolute)`. */
export class Absolute extends Request {
  constructor(input: RequestInfo | URL, init?: RequestInit) {
    super(typeof input === "string" ? new URL(input, window.location.origin) : input, init);
  }
}
