import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { listen } from "./listener.mjs";
import { PYTHON, ROOT } from "./service.mjs";

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

export const TEXT_VIEWS = (ids) => ({
  "text-dataset": `/datasets/${ids.dataset}`,
  "text-teacher": `/teachers/${ids.teacher}`,
  "text-job": `/jobs/${ids.job}`,
  "text-answers": `/jobs/${ids.answers}`,
  "text-new": `/new?from=${ids.job}`,
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

/** Tiny language models and texts into the service's folder. Not synchronous: connections that end meanwhile must be noticed. */
export const textFiles = (service) => promisify(execFile)(PYTHON, ["-m", "tests.e2e.text_files", service.folder], { cwd: ROOT, env: { ...process.env, PYTHONPATH: ROOT } });

/** Register files of the service's folder: form field -> file name. */
async function register(service, path, files, fields = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const [role, name] of Object.entries(files)) form.append(role, new Blob([readFileSync(join(service.folder, name))]), name);
  const answer = await fetch(service.url + path, { method: "POST", headers: service.authorization(), body: form });
  if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const LANGUAGE = { architecture: "transformers:auto" };
const TINY = { batch_size: 16, learning_rate: 0.005, layers: 2 };

/** A decoder on conversations without labels; the job's id once it has succeeded. */
export async function distilDecoder(service) {
  const teacher = await register(service, "/teachers", { file: "decoder.zip" }, { ...LANGUAGE, name: "tiny llama" });
  const dataset = await register(service, "/datasets", { file: "chats.jsonl" }, { name: "chats" });
  const student = { name: "transformers:auto", options: { layers: 2, width: 8 } };
  const config = { ...TINY, recipe: "feature_logit", epochs: 3 };
  const { id } = await service.post("/jobs", { teacher: teacher.id, dataset: dataset.id, student, config, name: "a small answerer" });
  await service.until(id, done, 600);
  return id;
}

/** Jobs on texts: an encoder that was fine-tuned here and distilled, and a decoder. */
export async function populateTexts(service) {
  await textFiles(service);
  const base = await register(service, "/teachers", { file: "base.zip" }, { ...LANGUAGE, name: "tiny bert" });
  const dataset = await register(service, "/datasets", { train: "train.jsonl", test: "test.jsonl" }, { name: "what animals do" });
  const body = { teacher: base.id, dataset: dataset.id, student: "transformers:auto" };
  const tuned = await service.post("/jobs", { ...body, config: { ...TINY, recipe: "cross_entropy", epochs: 12 }, name: "fine-tuned" });
  await service.until(tuned.id, done, 600);
  const teacher = await service.post("/teachers", { artifact: { job_id: tuned.id, name: "student.zip" }, name: "bert that knows animals" });
  const student = { name: "transformers:auto", options: { layers: 2, width: 8 } };
  const job = await service.post("/jobs", { teacher: teacher.id, dataset: dataset.id, student, compare_with: tuned.id, config: { ...TINY, recipe: "feature_logit", epochs: 10, max_length: 12 }, name: "a small one" });
  await service.until(job.id, done, 600);
  return { dataset: dataset.id, teacher: teacher.id, job: job.id, answers: await distilDecoder(service) };
}
