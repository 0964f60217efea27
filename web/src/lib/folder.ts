/** A model folder as files that are sent: which of them are needed, and what is missing before they are. */
import type { Task } from "../api/types";
import { isFolder } from "./tasks";

const TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "chat_template.jinja"];
const CONFIG = "config.json";
const needed = (name: string): boolean => name === CONFIG || TOKENIZER.includes(name) || name.endsWith(".safetensors") || name.endsWith(".safetensors.index.json");

/** Of a model's folder only what the service reads; anything else as it was chosen. */
export function chosen(files: File[]): File[] {
  return files.some(({ name }) => name === CONFIG) ? files.filter(({ name }) => needed(name)) : files;
}

/** The architecture that the files speak for; empty where they speak for none. */
export function suggested(tasks: Task[], files: File[]): string {
  return files.some(({ name }) => name === CONFIG) ? (tasks.find(({ container }) => container === "folder")?.student ?? "") : "";
}

/** Why the service would refuse them, as far as their names tell. */
export function trouble(tasks: Task[], files: File[], architecture: string): string {
  if (files.length === 0 || !isFolder(tasks, architecture)) return "";
  if (files.length === 1 && /\.(zip|tar|tgz|gz)$/.test(files[0]?.name ?? "")) return "";
  const has = (wanted: (name: string) => boolean): boolean => files.some(({ name }) => wanted(name));
  const missing = [!has((name) => name === CONFIG) && CONFIG, !has((name) => name.endsWith(".safetensors")) && "a .safetensors file", !has((name) => name === "tokenizer.json") && "tokenizer.json"].filter(Boolean);
  return missing.length > 0 ? `A model of ${architecture} is a folder; still missing: ${missing.join(", ")}. Choose its files together, or one zip of it.` : "";
}
