import { listen } from "./listener.mjs";

// A service with something on every page: what the accessibility check and the screenshots look at.
export const VIEWS = (jobs, ids) => ({
  jobs: "/",
  job: `/jobs/${jobs.student}`,
  "job-running": `/jobs/${jobs.running}`,
  "job-failed": `/jobs/${jobs.failed}`,
  new: `/new?from=${jobs.student}`,
  compare: `/compare?jobs=${jobs.student},${jobs.even},${jobs.alone}`,
  datasets: "/datasets",
  dataset: `/datasets/${ids.dataset}`,
  teachers: "/teachers",
  teacher: `/teachers/${ids.teacher}`,
  system: "/system",
});

const done = ({ status }) => status === "succeeded";

/** Real jobs, all trained; the one called `running` still runs. `epochs`: how long each takes. */
export async function populate(service, epochs = 3) {
  const labels = { team: "vision" };
  const teacherJob = await service.submit({ recipe: "cross_entropy", epochs }, { name: "the teacher", student: { name: "retort:resnet32", options: { width: 16 } } });
  await service.until(teacherJob.id, done, 600);
  const teacher = await service.post("/teachers", { artifact: { job_id: teacherJob.id, name: "student.safetensors" }, name: "resnet32 on digits", labels });
  const alone = await service.submit({ recipe: "cross_entropy", epochs }, { name: "resnet8 without a teacher", labels });
  await service.until(alone.id, done, 600);
  const distil = (name, config) => service.submit({ recipe: "feature_only", epochs, ...config }, { name, teacher: teacher.id, compare_with: alone.id, labels });
  const student = await distil("resnet8 from resnet32", { quality_bootstrap: 100 });
  const even = await distil("even layers instead", { selection: "even" });
  const failed = await distil("too steep", { learning_rate: 1e6, epochs: 200 });
  for (const { id } of [student, even]) await service.until(id, done, 600);
  await service.until(failed.id, ({ status }) => status === "failed", 600);
  const running = await distil("a long run", { epochs: 3000, selection: "last" });
  await service.until(running.id, ({ phase, progress }) => phase === "distilling" && progress?.eta_seconds, 300);
  const pictures = await service.post("/datasets", { named: "fashion-mnist" }).catch(() => null); // where it is installed
  const listener = await listen();
  const webhook = await service.post("/webhooks", { url: listener.url, description: "tells the chat" });
  await service.post(`/webhooks/${webhook.id}/test`);
  const jobs = { student: student.id, even: even.id, failed: failed.id, alone: alone.id, running: running.id };
  return { jobs, ids: { teacher: teacher.id, dataset: pictures?.id ?? (await service.get("/datasets")).items[0].id } };
}
