import { api, unwrap } from "../api/client";
import type { Dataset } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { DatasetReference } from "./DatasetReference";
import { Loading } from "./Layout";
import { Tabs } from "./Tabs";
import { DatasetUpload } from "./UploadForm";

/** By upload, or by URL where the operator allows any. */
export function AddDataset({ onDone }: { onDone: (made: Dataset) => void }) {
  const { data, problem } = usePoll("allowed references", () => unwrap(api.GET("/system")));
  if (!data && !problem) return <Loading what="what is allowed" />; // a form that changes its shape would lose a file
  const schemes = data?.dataset_references ?? [];
  if (schemes.length === 0) return <DatasetUpload onDone={onDone} />;
  return (
    <Tabs
      label="Where the dataset comes from"
      tabs={[
        { id: "upload", title: "A file of mine", content: () => <DatasetUpload onDone={onDone} /> },
        { id: "url", title: "A URL", content: () => <DatasetReference schemes={schemes} onDone={onDone} /> },
      ]}
    />
  );
}
