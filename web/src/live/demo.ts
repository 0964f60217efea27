/** The bundled demo: a teacher and a baseline trained from nothing, then a student distilled and compared with both.
 * Ordinary jobs, sent by ordinary requests. */
import { api, unwrap } from "../api/client";
import type { Job, JobCreate } from "../api/types";

export const DEMO_LABEL = "demo";
export const PARTS = 3;
/** Widths and lengths that a laptop's processor finishes in a minute or two. */
const EPOCHS = 15;
const STUDENT = { name: "retort:resnet8", options: { width: 8 } };

export interface Demo {
  run: string;
  teacherJob: string;
  baselineJob: string;
}

export type Step = { at: "training"; job: Job; part: number } | { at: "checking"; job: Job } | { at: "done"; job: Job } | { at: "failed"; job: Job };

interface Wanted {
  run: string;
  part: string;
  name: string;
  student: JobCreate["student"];
  recipe: string;
}

function body({ run, part, name, student, recipe }: Wanted): JobCreate {
  const config = { recipe, epochs: EPOCHS };
  return { name, dataset: { named: "digits" }, student, config, labels: { [DEMO_LABEL]: run, part } } as unknown as JobCreate;
}

const teacherBody = (run: string): JobCreate =>
  body({ run, part: "teacher", name: "Demo: the teacher", student: { name: "retort:resnet20", options: { width: 16 } }, recipe: "cross_entropy" });

const baselineBody = (run: string): JobCreate => body({ run, part: "baseline", name: "Demo: the student without a teacher", student: STUDENT, recipe: "cross_entropy" });

const studentBody = (demo: Demo, teacher: string): JobCreate => ({
  ...body({ run: demo.run, part: "student", name: "Demo: the distilled student", student: STUDENT, recipe: "feature_only" }),
  teacher,
  compare_with: demo.baselineJob,
});

const keyed = (key: string) => ({ header: { "Idempotency-Key": key } });

async function submit(job: JobCreate, key: string): Promise<Job> {
  return (await unwrap(api.POST("/jobs", { params: keyed(key), body: job }))) as Job;
}

const look = (id: string): Promise<Job> => unwrap(api.GET("/jobs/{job_id}", { params: { path: { job_id: id } } }));

export async function begin(run: string): Promise<Demo> {
  const teacher = await submit(teacherBody(run), `demo-${run}-teacher`);
  const baseline = await submit(baselineBody(run), `demo-${run}-baseline`);
  return { run, teacherJob: teacher.id, baselineJob: baseline.id };
}

/** Bring the demo one step on. Safe to call any number of times: every request has its own idempotency key. */
export async function advance(demo: Demo): Promise<Step> {
  for (const [index, id] of [demo.teacherJob, demo.baselineJob].entries()) {
    const job = await look(id);
    if (job.status === "failed" || job.status === "cancelled") return { at: "failed", job };
    if (job.status !== "succeeded") return { at: "training", job, part: index + 1 };
  }
  const made = { artifact: { job_id: demo.teacherJob, name: "student.safetensors" }, name: "Demo teacher", labels: { [DEMO_LABEL]: demo.run } };
  const teacher = await unwrap(api.POST("/teachers", { params: keyed(`demo-${demo.run}-register`), body: made as never }));
  if (teacher.status !== "ready") return { at: "checking", job: await look(demo.teacherJob) };
  return { at: "done", job: await submit(studentBody(demo, teacher.id), `demo-${demo.run}-student`) };
}
