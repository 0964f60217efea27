import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import type { components } from "../api/schema";
import { useAlone } from "../hooks/useAlone";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { ago, clock } from "../lib/format";
import { Copy } from "./Copy";
import { DeleteButton } from "./DeleteButton";
import { Deliveries } from "./Deliveries";
import { Card } from "./Layout";
import { Problem } from "./Problem";
import { useSay, useTry } from "./Toasts";

type Webhook = components["schemas"]["WebhookOut"];
type Made = components["schemas"]["WebhookCreated"];
type Event = Webhook["events"][number];
const ENDS: Event[] = ["job.succeeded", "job.failed", "job.cancelled"];

/** Who is told of jobs, and how the telling went. */
export function Webhooks() {
  const { data, problem, reload } = usePoll("webhooks", () => unwrap(api.GET("/webhooks", { params: { query: { limit: 200 } } })), 8000);
  const [made, setMade] = useState<Made | null>(null);
  if (problem?.problem.status === 403) return null;
  return (
    <Card title="Webhooks">
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {made && (
        <div className="checked" role="status">
          <p>
            Calls to <b>{made.url}</b> are signed with this secret. It is shown this once:
          </p>
          <p className="digest">
            <code>{made.secret}</code>
            <Copy text={made.secret} what="the secret" />
          </p>
        </div>
      )}
      {data && data.items.length === 0 && <p className="muted">Nobody is told yet. Name an address and the service posts to it when a job ends.</p>}
      {data?.items.map((webhook) => <One key={webhook.id} webhook={webhook} reload={reload} />)}
      <Make
        onMade={(webhook) => {
          setMade(webhook);
          reload();
        }}
      />
    </Card>
  );
}

const at = (id: string) => ({ params: { path: { webhook_id: id } } });

function One({ webhook, reload }: { webhook: Webhook; reload: () => void }) {
  const [open, setOpen] = useState(false);
  const [round, setRound] = useState(0);
  const attempt = useTry();
  const say = useSay();
  const now = useNow();

  async function test(): Promise<void> {
    if (await attempt(() => unwrap(api.POST("/webhooks/{webhook_id}/test", at(webhook.id))))) say("A test is on its way.");
    setOpen(true);
    setRound((n) => n + 1);
  }
  async function enable(): Promise<void> {
    if (await attempt(() => unwrap(api.POST("/webhooks/{webhook_id}/enable", at(webhook.id))))) reload();
  }

  return (
    <div className="webhook">
      <div className="row wrap">
        <span className={`status tone-${tone(webhook)}`}>
          <span aria-hidden="true" className="status-mark">
            {webhook.enabled && !webhook.failing_since ? "✓" : "✕"}
          </span>
          {state(webhook, now)}
        </span>
        <span className="grow">
          <code>{webhook.url}</code> {webhook.description && <span className="muted small">{webhook.description}</span>}
          <br />
          <span className="muted small">
            {webhook.events.join(", ")} · since {clock(webhook.created_at)}
          </span>
        </span>
        <button type="button" className="button small" aria-expanded={open} onClick={() => setOpen(!open)}>
          Deliveries
        </button>
        {webhook.enabled ? (
          <button type="button" className="button small" onClick={() => void test()}>
            Test
          </button>
        ) : (
          <button type="button" className="button small" onClick={() => void enable()}>
            Enable
          </button>
        )}
        <DeleteButton
          what="webhook"
          name={webhook.url}
          note="It is told nothing more, and its deliveries are forgotten."
          remove={() => unwrap(api.DELETE("/webhooks/{webhook_id}", at(webhook.id)).then((answer) => ({ ...answer, data: true })))}
          onDone={reload}
        />
      </div>
      {!webhook.enabled && webhook.disabled_reason && <p className="muted small">{webhook.disabled_reason}</p>}
      {open && <Deliveries key={round} webhook={webhook.id} />}
    </div>
  );
}

const tone = (webhook: Webhook): string => (webhook.enabled ? (webhook.failing_since ? "warn" : "good") : "bad");

function state(webhook: Webhook, now: number): string {
  if (!webhook.enabled) return "disabled";
  return webhook.failing_since ? `failing, since ${ago(webhook.failing_since, now)}` : "enabled";
}

function Make({ onMade }: { onMade: (webhook: Made) => void }) {
  const [url, setUrl] = useState("");
  const [all, setAll] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const alone = useAlone();

  async function make(): Promise<void> {
    setError(null);
    try {
      onMade(await unwrap(api.POST("/webhooks", { body: { url: url.trim(), events: all ? ["*"] : ENDS, description: "" } })));
      setUrl("");
    } catch (thrown) {
      setError(thrown);
    }
  }
  function submit(event: FormEvent): void {
    event.preventDefault();
    void alone(make);
  }

  return (
    <form className="toolbar make-key" onSubmit={submit}>
      <label className="search grow">
        <span className="visually-hidden">Address of a new webhook</span>
        <input value={url} required inputMode="url" spellCheck={false} maxLength={2000} placeholder="https://example.org/hook" onChange={(event) => setUrl(event.target.value)} />
      </label>
      <label className="check">
        <input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} /> every change, not only ends
      </label>
      <button type="submit" className="button">
        Add webhook
      </button>
      {error !== null && <Problem error={error} />}
    </form>
  );
}
