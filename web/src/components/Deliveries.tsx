import { api, unwrap } from "../api/client";
import type { components } from "../api/schema";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { ago, clock } from "../lib/format";
import { Link } from "../router";
import { Loading, Wide } from "./Layout";
import { Problem } from "./Problem";
import { useTry } from "./Toasts";

type Delivery = components["schemas"]["DeliveryOut"];
const SHOWN = 20;

/** The last messages of one webhook, each with how its last try went. */
export function Deliveries({ webhook }: { webhook: string }) {
  const params = { params: { path: { webhook_id: webhook }, query: { limit: SHOWN } } };
  const { data, problem, reload } = usePoll(`deliveries ${webhook}`, () => unwrap(api.GET("/webhooks/{webhook_id}/deliveries", params)), 4000);
  const now = useNow();
  if (!data) return problem ? <Problem error={problem} onRetry={reload} /> : <Loading what="deliveries" />;
  if (data.items.length === 0) return <p className="muted small">Nothing has been sent yet.</p>;
  return (
    <Wide label="Deliveries">
      <table className="plain">
        <thead>
          <tr>
            {["Message", "What became of it", "Tries", "Made"].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
            <th scope="col">
              <span className="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {data.items.map((each) => (
            <tr key={each.id}>
              <th scope="row">
                {each.type} <About payload={each.payload} />
              </th>
              <td>{outcome(each, now)}</td>
              <td>{each.tries}</td>
              <td className="nowrap" title={clock(each.created_at)}>
                {ago(each.created_at, now)}
              </td>
              <td className="row end">{each.status !== "pending" && <Again webhook={webhook} delivery={each.id} onDone={reload} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function About({ payload }: { payload: Delivery["payload"] }) {
  const job = (payload.data as { job_id?: unknown } | undefined)?.job_id;
  return typeof job === "string" ? <Link to={`/jobs/${job}`}>{job}</Link> : null;
}

/** "delivered, answered 200 in 0.1 s". */
export function outcome(delivery: Delivery, now: number): string {
  const last = delivery.log.at(-1);
  const answer = last ? (last.status_code === null ? (last.error ?? "no answer") : `answered ${last.status_code} in ${last.seconds.toFixed(1)} s`) : "not tried yet";
  const next = delivery.status === "pending" && delivery.next_try_at ? `, again ${Date.parse(delivery.next_try_at) > now ? `at ${clock(delivery.next_try_at)}` : "any moment"}` : "";
  return `${delivery.status}, ${answer}${next}`;
}

function Again({ webhook, delivery, onDone }: { webhook: string; delivery: string; onDone: () => void }) {
  const attempt = useTry();
  const params = { params: { path: { webhook_id: webhook, delivery_id: delivery } } };
  return (
    <button
      type="button"
      className="button small"
      onClick={() => void attempt(() => unwrap(api.POST("/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", params))).then(onDone)}
    >
      Send again
    </button>
  );
}
