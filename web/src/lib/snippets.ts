/** The same request for a terminal and for a program. The key is named, never shown. */
import type { JobCreate } from "../api/types";

const keyed = (withKey: boolean): string => (withKey ? ` -H "Authorization: Bearer $RETORT_API_KEY"` : "");
const shellQuoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export const curlJob = (origin: string, body: JobCreate, withKey: boolean): string => curlPost(origin, "/jobs", body, withKey);

export function curlPost(origin: string, path: string, body: unknown, withKey: boolean): string {
  const json = JSON.stringify(body, null, 2);
  return `curl -X POST ${origin}${path}${keyed(withKey)} \\\n  -H "Content-Type: application/json" \\\n  -d ${shellQuoted(json)}`;
}

export function curlDownload(origin: string, path: string, name: string, withKey: boolean): string {
  return `curl -L -o ${shellQuoted(name)}${keyed(withKey)} ${shellQuoted(origin + path)}`;
}

export const pythonJob = (origin: string, body: JobCreate, withKey: boolean): string => pythonPost(origin, "job", "/jobs", body, withKey);

export function pythonPost(origin: string, noun: string, path: string, body: unknown, withKey: boolean): string {
  const key = withKey ? `, headers={"Authorization": f"Bearer {os.environ['RETORT_API_KEY']}"}` : "";
  return [
    ...(withKey ? ["import os", ""] : []),
    "import httpx",
    "",
    `${noun} = ${python(body)}`,
    `with httpx.Client(base_url="${origin}"${key}) as client:`,
    `    answer = client.post("${path}", json=${noun}).raise_for_status().json()`,
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
