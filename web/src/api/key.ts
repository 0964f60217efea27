/** The API key of services that want one. Kept for the browser tab only. */
const NAME = "retort-key";

export const apiKey = (): string => sessionStorage.getItem(NAME) ?? "";

export function setApiKey(key: string): void {
  if (key) sessionStorage.setItem(NAME, key);
  else sessionStorage.removeItem(NAME);
}

export function authorization(): Record<string, string> {
  const key = apiKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}
