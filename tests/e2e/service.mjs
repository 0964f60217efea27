// A real `retort serve` in a folder of its own, that can be stopped and started again on the same data.
import { spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
/** How many times slower this machine is (tests/slowness.py); .ci/run measures it. */
const SLOWNESS = Math.min(Math.max(Number(process.env.RETORT_SLOWNESS ?? 1), 1), 50);
/** So many milliseconds of the reference machine, here. */
export const within = (milliseconds) => milliseconds * SLOWNESS;
/** Servers of the tests are on this machine: webhooks and datasets by URL may go there. */
const HERE = {
  RETORT_WEBHOOK_HTTP_HOSTS: "127.0.0.1",
  RETORT_WEBHOOK_NETWORKS: "127.0.0.0/8",
  RETORT_DATASET_HOSTS: "127.0.0.1",
  RETORT_DATASET_HTTP_HOSTS: "127.0.0.1",
  RETORT_DATASET_NETWORKS: "127.0.0.0/8",
};

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

export class Service {
  /** `settings`: more of the environment's, by their names. */
  static async start(folder = mkdtempSync(join(tmpdir(), "retort-e2e-")), key = "", settings = {}) {
    const service = new Service();
    service.key = key;
    service.settings = settings;
    service.folder = folder;
    service.port = await freePort();
    service.url = `http://127.0.0.1:${service.port}`;
    await service.run();
    return service;
  }

  environment() {
    const own = { OMP_NUM_THREADS: "1", PYTHONPATH: ROOT, RETORT_DATA_DIR: join(this.folder, "data"), RETORT_API_KEY: this.key };
    return { ...process.env, ...own, ...HERE, ...this.settings };
  }

  async run() {
    const program = "from embedded.cli import serve; serve()";
    this.process = spawn(PYTHON, ["-c", program, "--port", String(this.port)], { cwd: ROOT, env: this.environment() });
    const log = createWriteStream(join(this.folder, "service.log"), { flags: "a" });
    this.process.stdout.pipe(log);
    this.process.stderr.pipe(log);
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
    // As long as it lives: a slow machine imports for minutes, and the test's own limit is stretched for it.
    while (this.process.exitCode === null && this.process.signalCode === null) {
      const found = await this.get("/catalogue").catch(() => null);
      if (found?.architectures > 0) return;
      await sleep(500);
    }
    const last = readFileSync(join(this.folder, "service.log"), "utf8").trimEnd().split("\n").slice(-15);
    throw new Error(`The service ended before it was ready. Its last lines:\n${last.join("\n")}`);
  }

  async stop(signal = "SIGTERM") {
    this.process.kill(signal);
    await this.ended;
  }

  async remove() {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  authorization() {
    return this.key ? { Authorization: `Bearer ${this.key}` } : {};
  }

  async get(path) {
    const answer = await fetch(this.url + path, { headers: this.authorization() });
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async post(path, body) {
    const headers = { "Content-Type": "application/json", ...this.authorization() };
    const answer = await fetch(this.url + path, { method: "POST", headers, body: JSON.stringify(body ?? {}) });
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The job, once `done` says so of it. */
  async until(id, done, seconds = 240) {
    for (let waited = 0; waited < within(seconds); waited += 0.5) {
      const job = await this.get(`/jobs/${id}`);
      if (done(job)) return job;
      if (["failed", "cancelled", "succeeded"].includes(job.status)) throw new Error(`${id} is ${job.status}: ${JSON.stringify(job.error)}`);
      await sleep(500);
    }
    throw new Error(`${id} did not get there in ${seconds} s`);
  }

  /** A job on the bundled digits, small enough for seconds. */
  submit(config, more = {}) {
    const student = { name: "retort:resnet8", options: { width: 8 } };
    return this.post("/jobs", { dataset: { named: "digits" }, student, config, ...more });
  }
}
