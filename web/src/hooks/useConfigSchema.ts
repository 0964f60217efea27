import { reach } from "../api/client";
import type { Schema } from "../lib/schema";
import { usePoll } from "./usePoll";

interface Document {
  components?: { schemas?: Record<string, { properties?: Record<string, Schema> }> };
}

/** The settings of a job as this very service describes them: a newer service's settings appear by themselves. */
export function useConfigSchema(): Record<string, Schema> | undefined {
  return usePoll("openapi", load).data;
}

async function load(): Promise<Record<string, Schema>> {
  const document = (await (await reach("/openapi.json")).json()) as Document;
  const schemas = document.components?.schemas ?? {};
  return (schemas.DistillConfig ?? schemas["DistillConfig-Input"])?.properties ?? {};
}
