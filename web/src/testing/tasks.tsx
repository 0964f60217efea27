import { render, type RenderResult } from "@testing-library/react";
import type { ReactElement } from "react";

import type { Task } from "../api/types";
import { TasksContext } from "../hooks/useTasks";
import { named } from "../lib/tasks";
import listed from "./tasks.json";

/** The tasks as the service lists them. */
export const TASKS = listed as Task[];

export function task(name: string): Task {
  const found = named(TASKS, name);
  if (!found) throw new Error(`There is no task ${name}.`);
  return found;
}

/** Render below the catalogue's tasks. */
export const show = (element: ReactElement): RenderResult => render(element, { wrapper: ({ children }) => <TasksContext.Provider value={TASKS}>{children}</TasksContext.Provider> });
