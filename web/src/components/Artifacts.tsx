import { apiKey } from "../api/key";
import type { Artifact, Job } from "../api/types";
import type { Polled } from "../hooks/usePoll";
import { bytes, digest } from "../lib/format";
import { curlDownload } from "../lib/snippets";
import { Copy } from "./Copy";
import { DownloadButton } from "./DownloadButton";
import { Loading, Wide } from "./Layout";
import { Problem } from "./Problem";

export function Artifacts({ job, artifacts: { data, problem, reload } }: { job: Job; artifacts: Polled<{ items: Artifact[] }> }) {
  if (problem && !data) return <Problem error={problem} onRetry={reload} />;
  if (!data) return <Loading what="artifacts" />;
  if (data.items.length === 0) {
    return <p className="none">{job.finished_at ? "This job made no files." : "Files appear here once they are verified in the store."}</p>;
  }
  return (
    <Wide label="Artifacts">
      <table className="plain">
        <thead>
          <tr>
            <th scope="col">File</th>
            <th scope="col">Size</th>
            <th scope="col">sha256</th>
            <th scope="col">
              <span className="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {data.items.map((each) => (
            <tr key={each.name}>
              <th scope="row">
                <code>{each.name}</code>
                <span className="muted small">{each.media_type}</span>
              </th>
              <td className="nowrap">{bytes(each.size_bytes)}</td>
              <td className="nowrap">
                <code title={each.sha256}>{digest(each.sha256)}…</code>
                <Copy text={each.sha256} what={`sha256 of ${each.name}`} />
              </td>
              <td className="row end">
                <Copy text={curlDownload(window.location.origin, each.href, each.name, apiKey() !== "")} what={`curl command for ${each.name}`} label="curl" />
                <DownloadButton path={each.href} name={each.name} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}
