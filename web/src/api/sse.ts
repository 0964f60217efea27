/** Server-sent events over `fetch`: EventSource cannot send a key, nor tell a restart from the end. */
export interface Message {
  id: string;
  event: string;
  data: string;
}

/** Feed text, get whole messages. Comments (heartbeats) are dropped, CRLF and split chunks are understood. */
export function parser(onMessage: (message: Message) => void): (chunk: string) => void {
  let rest = "";
  let id = "";
  let event = "";
  let data: string[] = [];

  function line(text: string): void {
    if (text === "") {
      if (data.length > 0) onMessage({ id, event: event || "message", data: data.join("\n") });
      event = "";
      data = [];
      return;
    }
    if (text.startsWith(":")) return;
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "id") id = value;
    else if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }

  return (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const each of lines) line(each.replace(/\r$/, ""));
  };
}
