import { expect, test } from "vitest";

import { byRole, inOrder } from "./roles";

const named = (...names: string[]): File[] => names.map((name) => new File([], name));

test("several files of a role are a list in the order of their names, one is itself", () => {
  const train = inOrder(named("p-2.tar", "p-0.tar", "p-1.tar"));
  expect(train.map((file) => file.name)).toEqual(["p-0.tar", "p-1.tar", "p-2.tar"]);
  const sent = byRole([["train", train], ["test", named("t.tar")], ["unlabelled", named("u-0.tar", "u-1.tar")]], ["a", "b", "c", "d", "e", "f"]);
  expect(sent).toEqual({ train: ["a", "b", "c"], test: "d", unlabelled: ["e", "f"] });
});
