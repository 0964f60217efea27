import { useEffect, useRef, useState } from "react";

import { loadCurve } from "../api/curve";
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
      } catch {
        onCurve(job, null); // recipes without layers have none: the column stays empty
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, lane));
}
