import { useEffect, useRef, useState } from "react";

import { loadCurve } from "../api/curve";
import { asProblem } from "../api/problem";
import type { Curve, Job } from "../api/types";
import { isActive } from "../api/types";

const PARALLEL = 4;

/** Curves of the jobs shown. Those of ended jobs are loaded once; those of jobs that score, again and again. */
export function useCurves(jobs: Job[]): Map<string, Curve> {
  const [curves, setCurves] = useState<Map<string, Curve>>(() => new Map());
  const settled = useRef(new Set<string>());
  const busy = useRef(false);

  useEffect(() => {
    const wanted = jobs.filter((job) => job.status !== "queued" && !settled.current.has(job.id));
    if (busy.current || wanted.length === 0) return;
    busy.current = true;
    void loadAll(wanted, (job, curve) => {
      if (curve === null || curve.chosen.length > 0 || !isActive(job.status)) settled.current.add(job.id);
      if (curve) setCurves((old) => new Map(old).set(job.id, curve));
    }).finally(() => {
      busy.current = false;
    });
  }, [jobs]);

  return curves;
}

async function loadAll(jobs: Job[], onCurve: (job: Job, curve: Curve | null) => void): Promise<void> {
  const queue = [...jobs];
  async function lane(): Promise<void> {
    for (let job = queue.shift(); job; job = queue.shift()) {
      try {
        onCurve(job, await loadCurve(job.id));
      } catch (error) {
        // A recipe without layers has none, a deleted job neither: the column stays empty. What passes is asked again.
        const { status } = asProblem(error).problem;
        if (status === 404 || status === 409) onCurve(job, null);
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, lane));
}
