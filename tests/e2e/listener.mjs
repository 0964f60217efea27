// A small web server on this machine: takes what webhooks send, serves files by path.
import { createServer } from "node:http";

export async function listen(files = {}) {
  const heard = [];
  const server = createServer((request, answer) => {
    const file = files[request.url];
    if (request.method === "GET") return answer.writeHead(file ? 200 : 404).end(file ?? "");
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      heard.push(JSON.parse(body));
      answer.end("thank you");
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref(); // the tests' end does not wait for it
  return { heard, url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
