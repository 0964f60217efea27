import { parsed, text } from "../api/client";
import { fromAnswer } from "../api/problem";
import type { Schema } from "../lib/schema";
import type { StudentSchemas } from "../lib/student";
import { type Polled, usePoll } from "./usePoll";

type Properties = Record<string, Schema>;

interface Document {
  components?: { schemas?: Record<string, { properties?: Properties }> };
}

export interface RequestSchemas {
  config: Properties;
  student: StudentSchemas;
}

/** The parts of a job's request as this very service describes them: what a newer service has appears by itself. */
export function useRequestSchemas(): Polled<RequestSchemas> {
  return usePoll("openapi", load);
}

async function load(): Promise<RequestSchemas> {
  const document = parsed(await text("/openapi.json", "application/json")) as Document | undefined;
  const of = (name: string): Properties | undefined => (document?.components?.schemas?.[name] ?? document?.components?.schemas?.[`${name}-Input`])?.properties;
  const config = of("DistillConfig");
  if (!config) throw fromAnswer(502, undefined, "/openapi.json"); // a page of something between us and the service
  const { families } = of("BudgetedStudent") ?? {};
  return { config, student: { budget: of("StudentBudget") ?? {}, families: families ? { families } : {}, prune: of("Pruning") ?? {} } };
}
