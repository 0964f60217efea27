import { createContext, type ReactNode, useCallback, useContext, useState } from "react";

import { asProblem } from "../api/problem";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

type Say = (text: string, bad?: boolean) => void;
const Context = createContext<Say>(() => {});
export const useSay = (): Say => useContext(Context);

/** Say what went wrong, wherever a button was pressed. */
export function useTry(): <T>(work: () => Promise<T>) => Promise<T | undefined> {
  const say = useSay();
  return useCallback(
    async (work) => {
      try {
        return await work();
      } catch (error) {
        const { problem } = asProblem(error);
        say([problem.detail, problem.remedy].filter(Boolean).join(" "), true);
        return undefined;
      }
    },
    [say],
  );
}

let next = 0;

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const drop = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), []);
  const say = useCallback<Say>(
    (text, bad = false) => {
      next += 1;
      const id = next;
      setToasts((all) => [...all.slice(-3), { id, text, bad }]);
      setTimeout(() => drop(id), bad ? 12_000 : 5000);
    },
    [drop],
  );
  return (
    <Context.Provider value={say}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {toasts.map((toast) => (
          <div key={toast.id} className={toast.bad ? "toast bad" : "toast"}>
            <span>{toast.text}</span>
            <button type="button" aria-label="Dismiss" onClick={() => drop(toast.id)}>
              ×
            </button>
          </div>
        ))}
      </div>
    </Context.Provider>
  );
}
