import { useEffect, useState } from "react";

import { asProblem } from "../api/problem";
import { advance, type Demo, PARTS, type Step } from "../live/demo";
import { title } from "../lib/jobs";
import { navigate, usePlace } from "../router";

const NAME = "retort-demo";
const CHANGED = "retort-demo-changed";

export function rememberDemo(demo: Demo | null): void {
  if (demo) localStorage.setItem(NAME, JSON.stringify(demo));
  else localStorage.removeItem(NAME);
  window.dispatchEvent(new Event(CHANGED));
}

function recall(): Demo | null {
  const stored = localStorage.getItem(NAME);
  return stored ? (JSON.parse(stored) as Demo) : null;
}

/** Sends the demo's last job when those before it have ended, on whatever page one is. */
export function DemoFollower() {
  const [demo, setDemo] = useState<Demo | null>(recall);
  const [step, setStep] = useState<Step | null>(null);
  const [trouble, setTrouble] = useState("");
  const { path } = usePlace();

  useEffect(() => {
    const changed = (): void => setDemo(recall());
    window.addEventListener(CHANGED, changed);
    return () => window.removeEventListener(CHANGED, changed);
  }, []);

  useEffect(() => {
    if (!demo) return undefined;
    let gone = false;
    let timer: ReturnType<typeof setTimeout>;
    async function look(current: Demo): Promise<void> {
      try {
        const next = await advance(current);
        if (gone) return;
        setStep(next);
        setTrouble("");
        if (next.at === "failed") return;
        if (next.at === "done") {
          rememberDemo(null);
          const watching = [current.teacherJob, current.baselineJob].some((id) => window.location.pathname.endsWith(id));
          if (watching) navigate(`/jobs/${next.job.id}`);
          return;
        }
      } catch (error) {
        const { problem } = asProblem(error);
        if (gone) return;
        if (problem.status === 404) return rememberDemo(null);
        setTrouble(problem.detail);
      }
      timer = setTimeout(() => void look(current), 2000);
    }
    void look(demo);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [demo]);

  if (!demo || (!step && !trouble)) return null;
  const elsewhere = step && !path.endsWith(step.job.id);
  return (
    <div className="demo-strip" role="status">
      {step?.at !== "failed" && <span className="spinner" aria-hidden="true" />}
      <span className="grow">{trouble || (step && wording(step))}</span>
      {elsewhere && (
        <button type="button" className="button small" onClick={() => navigate(`/jobs/${step.job.id}`)}>
          Watch
        </button>
      )}
      <button type="button" className="button small ghost" onClick={() => rememberDemo(null)}>
        Leave the demo
      </button>
    </div>
  );
}

function wording(step: Step): string {
  const stay = "Keep this page open: it sends the distillation when both are done.";
  if (step.at === "training") return `Demo, ${step.part} of ${PARTS}: ${step.part === 1 ? "training the teacher" : "training the student without it, to compare with"}. ${stay}`;
  if (step.at === "checking") return "The teacher is trained and is being checked before it is used.";
  if (step.at === "failed") return `The demo cannot go on: ${title(step.job)} ${step.job.status === "failed" ? "has failed" : "was cancelled"}.`;
  return `Demo, ${PARTS} of ${PARTS}: distilling.`;
}
