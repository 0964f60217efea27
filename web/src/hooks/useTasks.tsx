import { createContext, type ReactNode, useContext } from "react";

import { api, unwrap } from "../api/client";
import type { Task } from "../api/types";
import { usePoll } from "./usePoll";

/** What the service can answer; empty until it has said so. */
export const TasksContext = createContext<Task[]>([]);
export const useTasks = (): Task[] => useContext(TasksContext);

/** Asks once, for all that is below. */
export function Tasks({ children }: { children: ReactNode }) {
  const { data } = usePoll("tasks", () => unwrap(api.GET("/catalogue/tasks")));
  return <TasksContext.Provider value={data?.items ?? NONE}>{children}</TasksContext.Provider>;
}

const NONE: Task[] = [];
