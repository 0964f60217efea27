/** A role of a dataset and its files, in their order. */
export type Role = [name: string, files: File[]];

/** Shards count by their names; a browser hands files over in an order of its own. */
export const inOrder = (files: File[]): File[] => [...files].sort((a, b) => (a.name < b.name ? -1 : 1));

/** What a registration says of uploads that were sent in the order of the roles: one file's id, or several as a list. */
export function byRole(roles: Role[], ids: string[]): Record<string, string | string[]> {
  const rest = [...ids];
  const taken = roles.map(([name, files]): [string, string[]] => [name, rest.splice(0, files.length)]);
  return Object.fromEntries(taken.map(([name, own]) => [name, own.length === 1 ? own[0]! : own]));
}
