import { parsed, text } from "../api/client";
import { fromAnswer } from "../api/problem";
import type { Schema } from "../lib/schema";
import { type Polled, usePoll } from "./usePoll";

interface Document {
  components?: { schemas?: Record<string, { properties?: Record<string, Schema> }> };
}

/** The settings of a job as this very service describes them: a newer service's settings appear by themselves. */
export function useConfigSchema(): Polled<Record<string, Schema>> {
  return usePoll("openapi", load);
}

async function load(): Promise<Record<string, Schema>> {
  const document = parsed(await text("/openapi.json", "application/json")) as Document | undefined;
  const schemas = document?.components?.schemas;
  const found = (schemas?.DistillConfig ?? schemas?.["DistillConfig-Input"])?.properties;
  if (!found) throw fromAnswer(502, undefined, "/openapi.json"); // a page of something between us and the service
  return found;
}
