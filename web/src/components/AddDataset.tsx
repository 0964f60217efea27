import { api, unwrap } from "../api/client";
import type { Dataset } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { DatasetReference } from "./DatasetReference";
import { DatasetShards } from "./DatasetShards";
import { Loading } from "./Layout";
import { Problem } from "./Problem";
import { Tabs } from "./Tabs";
import { DatasetUpload } from "./UploadForm";

/** By upload, or by URL where the operator allows any. */
export function AddDataset({ onDone }: { onDone: (made: Dataset) => void }) {
  const { data, problem, reload } = usePoll("allowed references", () => unwrap(api.GET("/system")));
  // A form that changes its shape would lose a file, so there is none before it is known.
  if (!data) return problem ? <Problem error={problem} onRetry={reload} /> : <Loading what="what is allowed" />;
  const schemes = data.dataset_references;
  if (schemes.length === 0) return <DatasetUpload onDone={onDone} />;
  return (
    <Tabs
      label="Where the dataset comes from"
      tabs={[
        { id: "upload", title: "A file of mine", content: () => <DatasetUpload onDone={onDone} /> },
        { id: "url", title: "A URL", content: () => <DatasetReference schemes={schemes} onDone={onDone} /> },
        { id: "shards", title: "Shards that stay where they lie", content: () => <DatasetShards schemes={schemes} onDone={onDone} /> },
      ]}
    />
  );
}
