/** The same request for a terminal and for a program. The key is named, never shown. */
import type { JobCreate } from "../api/types";

const keyed = (withKey: boolean): string => (withKey ? ` -H "Authorization: Bearer $RETORT_API_KEY"` : "");
const shellQuoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function curlJob(origin: string, body: JobCreate, withKey: boolean): string {
  const json = JSON.stringify(body, null, 2);
  return `curl -X POST ${origin}/jobs${keyed(withKey)} \\\n  -H "Content-Type: application/json" \\\n  -d ${shellQuoted(json)}`;
}

export function curlDownload(origin: string, path: string, name: string, withKey: boolean): string {
  return `curl -L -o ${shellQuoted(name)}${keyed(withKey)} ${shellQuoted(origin + path)}`;
}

export function pythonJob(origin: string, body: JobCreate, withKey: boolean): string {
  const key = withKey ? `, headers={"Authorization": f"Bearer {os.environ['RETORT_API_KEY']}"}` : "";
  return [
    ...(withKey ? ["import os", ""] : []),
    "import httpx",
    "",
    `job = ${python(body)}`,
    `with httpx.Client(base_url="${origin}"${key}) as client:`,
    `    answer = client.post("/jobs", json=job).raise_for_status().json()`,
    `    print(answer["id"], answer["status"])`,
  ].join("\n");
}

/** JSON data as a Python literal. */
export function python(value: unknown, indent = ""): string {
  const deeper = indent + "    ";
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const list = Array.isArray(value);
  const items = list
    ? value.map((each) => python(each, deeper))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${python(each, deeper)}`);
  const [open, close] = list ? ["[", "]"] : ["{", "}"];
  if (items.length === 0) return open + close;
  return `${open}\n${items.map((each) => `${deeper}${each},`).join("\n")}\n${indent}${close}`;
}
