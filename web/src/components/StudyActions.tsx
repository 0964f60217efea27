import { api, unwrap } from "../api/client";
import { isActive, type Study } from "../api/types";
import { useAlone } from "../hooks/useAlone";
import { studyTitle } from "../lib/studies";
import { navigate } from "../router";
import { DeleteButton } from "./DeleteButton";
import { useSay, useTry } from "./Toasts";

const MORE = 10;

/** Only those that the service offers now (`links`). */
export function StudyActions({ study, onChange }: { study: Study; onChange: () => void }) {
  const attempt = useTry();
  const alone = useAlone();
  const say = useSay();
  const params = { params: { path: { study_id: study.id } } };
  const act = (work: () => Promise<unknown>, done: string): void =>
    void alone(async () => {
      if (await attempt(() => work().then(() => true))) {
        say(done);
        onChange();
      }
    });
  return (
    <>
      {"pause" in study.links && (
        <button type="button" className="button" title="Begin no further trial, and hold those that run" onClick={() => act(() => unwrap(api.POST("/studies/{study_id}/pause", params)), "Paused.")}>
          Pause
        </button>
      )}
      {"resume" in study.links && (
        <button type="button" className="button primary" onClick={() => act(() => unwrap(api.POST("/studies/{study_id}/resume", params)), "It goes on.")}>
          Resume
        </button>
      )}
      {"extend" in study.links && typeof study.budget.trials === "number" && (
        <button type="button" className="button" title="A larger budget: it goes on with all that it knows" onClick={() => act(() => unwrap(api.POST("/studies/{study_id}/extend", { ...params, body: { trials: MORE } })), `${MORE} more trials.`)}>
          {MORE} more trials
        </button>
      )}
      {"cancel" in study.links && (
        <button type="button" className="button danger-quiet" title="End it and its active trials" onClick={() => act(() => unwrap(api.POST("/studies/{study_id}/cancel", params)), "Cancelling.")}>
          Cancel
        </button>
      )}
      {!isActive(study.status) && (
        <DeleteButton
          what="study"
          name={studyTitle(study)}
          note="Its table and events go; its trials stay as jobs."
          remove={() => unwrap(api.DELETE("/studies/{study_id}", params).then((answer) => ({ ...answer, data: true })))}
          onDone={() => navigate("/studies")}
        />
      )}
    </>
  );
}
