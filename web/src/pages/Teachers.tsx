import { api, unwrap } from "../api/client";
import type { Teacher } from "../api/types";
import { Registry } from "../components/Registry";
import { TeacherUpload } from "../components/UploadForm";
import { bytes, MISSING, options, short } from "../lib/format";
import { architectureOf, classWords, teacherFindings } from "../lib/report";

export function Teachers() {
  return (
    <Registry<Teacher>
      title="Teachers"
      load={() => unwrap(api.GET("/teachers", { params: { query: { limit: 200 } } }))}
      add={{ button: "Upload", title: "Upload a teacher", form: (onDone) => <TeacherUpload onDone={onDone} /> }}
      empty="No teacher is registered yet. Upload a checkpoint, or train one: a job with the recipe cross entropy makes a network that can be a teacher."
      about={(teacher) => `${architectureOf(teacher)} ${options(teacher.architecture.options)}`}
      columns={[
        ["Parameters", (teacher) => short(teacherFindings(teacher.report)?.parameters)],
        ["Classes", (teacher) => classWords(teacherFindings(teacher.report)) || MISSING],
        ["Size", (teacher) => bytes(teacher.size_bytes)],
      ]}
    />
  );
}
