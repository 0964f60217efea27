import { useState } from "react";

import { api, unwrap } from "../api/client";
import type { Teacher } from "../api/types";
import { Icon } from "../components/Icon";
import { Card, Labels, Loading, Page } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Readiness } from "../components/Status";
import { Updated } from "../components/Updated";
import { TeacherUpload } from "../components/UploadForm";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { ago, bytes, clock, count, options, short } from "../lib/format";
import { teacherFindings } from "../lib/report";
import { Link, navigate } from "../router";

export function Teachers() {
  const [uploading, setUploading] = useState(false);
  const { data, problem, updatedAt, reload } = usePoll("teachers", () => unwrap(api.GET("/teachers", { params: { query: { limit: 200 } } })), 5000);
  return (
    <Page
      title="Teachers"
      actions={
        <>
          <Updated at={updatedAt} failing={problem !== null} />
          <button type="button" className="button" aria-expanded={uploading} onClick={() => setUploading(!uploading)}>
            <Icon name="upload" size={16} /> Upload
          </button>
        </>
      }
    >
      {uploading && (
        <Card title="Upload a teacher">
          <TeacherUpload onDone={(made) => navigate(`/teachers/${made.id}`)} />
        </Card>
      )}
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {!data && !problem && <Loading what="teachers" />}
      {data?.items.length === 0 && (
        <p className="none card">No teacher is registered yet. Upload a checkpoint, or train one: a job with the recipe cross entropy makes a network that can be a teacher.</p>
      )}
      {data && data.items.length > 0 && <List teachers={data.items} />}
    </Page>
  );
}

function List({ teachers }: { teachers: Teacher[] }) {
  const now = useNow();
  return (
    <Card className="flush">
      <table className="jobs">
        <thead>
          <tr>
            {["Teacher", "Status", "Parameters", "Classes", "Size", "Registered"].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {teachers.map((teacher) => {
            const found = teacherFindings(teacher.report);
            return (
              <tr key={teacher.id}>
                <td className="job-name">
                  <Link to={`/teachers/${teacher.id}`}>{teacher.name || teacher.id}</Link>
                  <span className="muted small">
                    {teacher.architecture.name} {options(teacher.architecture.options)}
                  </span>
                  <Labels labels={teacher.labels} />
                </td>
                <td data-title="Status">
                  <Readiness status={teacher.status} />
                </td>
                <td data-title="Parameters">{short(found?.parameters)}</td>
                <td data-title="Classes">{count(found?.classes)}</td>
                <td data-title="Size">{bytes(teacher.size_bytes)}</td>
                <td data-title="Registered" className="muted small nowrap" title={clock(teacher.created_at)}>
                  {ago(teacher.created_at, now)}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Card>
  );
}
