import { expect, test } from "vitest";

import { type Message, parser } from "./sse";

const read = (...chunks: string[]): Message[] => {
  const found: Message[] = [];
  const feed = parser((message) => found.push(message));
  chunks.forEach(feed);
  return found;
};

test("a message is whole only behind its empty line, wherever chunks are cut", () => {
  const text = 'id: 7\nevent: status\ndata: {"a":1}\n\nid: 8\ndata: x\n\n';
  const whole = read(text);
  expect(whole).toEqual([
    { id: "7", event: "status", data: '{"a":1}' },
    { id: "8", event: "message", data: "x" },
  ]);
  for (let cut = 1; cut < text.length; cut += 1) expect(read(text.slice(0, cut), text.slice(cut))).toEqual(whole);
  expect(read("id: 7\ndata: x\n")).toEqual([]);
});

test("heartbeats are no messages; CRLF, several data lines and missing spaces are understood", () => {
  expect(read(": heartbeat\n\n")).toEqual([]);
  expect(read("data:a\r\ndata: b\r\n\r\n")).toEqual([{ id: "", event: "message", data: "a\nb" }]);
});
