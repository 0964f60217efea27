import { api, unwrap } from "../api/client";
import { usePoll } from "./usePoll";

/** Recipe -> whether it scores layers, and so has a Q curve; undefined until the catalogue has answered. */
export function useLayered(): Map<string, boolean> | undefined {
  return usePoll("layered recipes", load).data;
}

async function load(): Promise<Map<string, boolean>> {
  const { items } = await unwrap(api.GET("/catalogue/recipes"));
  return new Map(items.map((recipe) => [recipe.name, recipe.needs_layers]));
}
