import { useState } from "react";

import { begin } from "../live/demo";
import { navigate } from "../router";
import { rememberDemo } from "./DemoFollower";
import { Icon } from "./Icon";
import { useTry } from "./Toasts";

/** The first sight of an empty service: what this is, and one button that shows it. */
export function Welcome() {
  const [busy, setBusy] = useState(false);
  const attempt = useTry();

  async function start(): Promise<void> {
    setBusy(true);
    const run = new Date().toISOString().replace(/[^0-9]/g, "").slice(0, 14);
    const demo = await attempt(() => begin(run));
    setBusy(false);
    if (!demo) return;
    rememberDemo(demo);
    navigate(`/jobs/${demo.teacherJob}`);
  }

  return (
    <div className="welcome">
      <Picture />
      <div>
        <h2>Distil a large model into a small one</h2>
        <p>
          Give Retort a teacher, a dataset and a small architecture. It scores which of the teacher&rsquo;s layers hold knowledge worth copying, trains the student on those features
          alone, and tells you honestly what that bought.
        </p>
        <div className="row wrap">
          <button type="button" className="button primary large" disabled={busy} onClick={() => void start()}>
            <Icon name="flask" /> {busy ? "Starting…" : "Run the demo"}
          </button>
          <button type="button" className="button large" onClick={() => navigate("/new")}>
            New job
          </button>
        </div>
        <p className="muted small">
          The demo trains a small teacher on the bundled digits dataset, distils it into a student a fraction of its size, and compares that with the same student trained alone. It runs on this service, needs no download, and takes a
          minute or two on a processor.
        </p>
      </div>
    </div>
  );
}

/** A retort: what is heavy stays behind, what matters comes over in drops. */
function Picture() {
  return (
    <svg className="welcome-picture" viewBox="0 0 220 180" aria-hidden="true">
      <g fill="none" stroke="currentColor" strokeWidth={5} strokeLinecap="round" strokeLinejoin="round">
        <path d="M40 72C48 34 92 18 124 42L200 112L190 123L120 76C110 69 106 76 112 88A47 47 0 1 1 40 72Z" />
        <path d="M180 142h34l-3 28a6 6 0 0 1-6 5h-16a6 6 0 0 1-6-5z" />
      </g>
      <path className="welcome-liquid" d="M32 116a43 43 0 0 0 87 0c-17 9-29-7-45-4s-26 11-42 4z" />
      <path className="welcome-liquid" d="M186 158h22l-1 9a4 4 0 0 1-4 3h-12a4 4 0 0 1-4-3z" />
      <circle className="welcome-drop" cx={197} cy={130} r={4} />
    </svg>
  );
}
