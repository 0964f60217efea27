// The main paths through the dashboard, in real Chromium against a real service that really trains.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { Service, within } from "./service.mjs";

const TIMEOUT = within(240_000);
let service;
let browser;
let page;
const trouble = [];

before(async () => {
  service = await Service.start();
  browser = await launch();
  page = await browser.newPage({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) trouble.push(message.text());
  });
});

after(async () => {
  await browser?.close();
  await service?.remove();
});

const open = (path) => page.goto(`${service.url}/ui${path}`);
const status = () => page.locator(".headline .status").innerText();
const jobId = () => page.url().match(/job_\w+/)[0];
const arrived = (word) => page.locator(".headline .status", { hasText: word }).waitFor({ timeout: TIMEOUT });

async function saved(click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  return readFileSync(await download.path());
}

test("a browser at / finds the dashboard, and an empty service offers the demo", async () => {
  await page.goto(service.url);
  assert.equal(new URL(page.url()).pathname, "/ui/");
  await page.getByRole("button", { name: "Run the demo" }).waitFor();
});

let teacherBytes;

test("a job is made in the form, checked, submitted, and its student downloaded", { timeout: TIMEOUT }, async () => {
  await open("/new");
  await page.getByRole("radio", { name: /^cross entropy/ }).check();
  await page.getByLabel("Dataset", { exact: true }).selectOption({ label: "digits" });
  const architecture = page.getByRole("combobox", { name: "Architecture" });
  await architecture.fill("resnet14");
  await page.getByRole("option", { name: /retort:resnet14/ }).waitFor();
  await architecture.press("ArrowDown");
  await architecture.press("Enter");
  assert.match(await architecture.inputValue(), /resnet14/);
  await architecture.fill("retort:resnet14");
  await architecture.press("Escape");
  await page.getByRole("textbox", { name: "Options", exact: true }).fill("width=8");
  await page.getByLabel("epochs", { exact: true }).fill("nonsense");
  await page.getByText("nonsense is not a number.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Submit job" }).isDisabled(), true);
  await page.getByLabel("epochs", { exact: true }).fill("3");
  await page.getByLabel("Name", { exact: true }).fill("made in the form");
  assert.match(await page.locator(".code pre").innerText(), /"epochs": 3/);
  await page.getByRole("button", { name: "Check only" }).click();
  await page.getByText("This job would be accepted.").waitFor({ timeout: within(90_000) });
  assert.equal((await service.get("/jobs")).items.length, 0);
  await page.getByRole("button", { name: "Submit job" }).click();
  await page.waitForURL(/jobs\/job_/);
  await arrived("succeeded");
  await page.getByRole("tab", { name: /Artifacts/ }).click();
  teacherBytes = await saved(() => page.getByRole("button", { name: "Download student.safetensors" }).click());
  const { items } = await service.get(`/jobs/${jobId()}/artifacts`);
  assert.equal(createHash("sha256").update(teacherBytes).digest("hex"), items.find(({ name }) => name === "student.safetensors").sha256);
});

test("the service's refusal stands at the field it is about", async () => {
  await open("/new");
  await page.getByRole("radio", { name: /^cross entropy/ }).check();
  await page.getByLabel("Dataset", { exact: true }).selectOption({ label: "digits (images)" });
  await page.getByRole("combobox", { name: "Architecture" }).fill("retort:resnet15");
  await page.getByRole("button", { name: "Check only" }).click();
  await page.locator(".combo .error", { hasText: "resnet15" }).waitFor();
});

test("a checkpoint is uploaded as a teacher", { timeout: TIMEOUT }, async () => {
  await open("/teachers");
  await page.getByRole("button", { name: "Upload" }).click();
  await page.locator("input[type=file]").setInputFiles({ name: "digits-teacher.safetensors", mimeType: "application/octet-stream", buffer: teacherBytes });
  await page.getByRole("combobox", { name: "Its architecture" }).fill("retort:resnet14");
  await page.getByRole("combobox", { name: "Its architecture" }).press("Escape");
  await page.getByRole("textbox", { name: "Options", exact: true }).fill("width=8");
  await page.getByRole("button", { name: "Register teacher" }).click();
  await page.getByRole("heading", { name: "digits-teacher" }).waitFor({ timeout: within(90_000) });
  await page.locator(".headline .status", { hasText: "ready" }).waitFor({ timeout: within(90_000) });
});

test("an upload that was broken off goes on where it was, and what cannot be used is refused with a reason", { timeout: TIMEOUT }, async () => {
  await open("/teachers");
  await page.getByRole("button", { name: "Upload" }).click();
  const file = join(service.folder, "nonsense.safetensors");
  writeFileSync(file, Buffer.alloc(40_000_000, 1));
  const choose = async () => {
    await page.locator("input[type=file]").setInputFiles(file);
    await page.getByRole("combobox", { name: "Its architecture" }).fill("retort:resnet8");
    await page.getByRole("combobox", { name: "Its architecture" }).press("Escape");
    await page.getByRole("button", { name: "Register teacher" }).click();
  };
  const sent = [];
  page.on("request", (request) => request.method() === "PUT" && sent.push(Number(request.url().split("/").at(-1))));
  await page.route("**/parts/2", () => {}); // the second part gets no answer
  await choose();
  await page.getByRole("button", { name: "Stop", exact: true }).waitFor();
  while (!sent.includes(2)) await page.waitForTimeout(50);
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByText(/^Stopped at \d+ %/).waitFor();
  await page.unroute("**/parts/2");
  await page.reload();
  await page.getByRole("button", { name: "Upload" }).click();
  await choose();
  await page.locator(".problem").waitFor({ timeout: within(90_000) });
  assert.equal(sent.filter((part) => part === 1).length, 1, `parts sent: ${sent}`);
  assert.ok(sent.filter((part) => part === 2).length === 2 && sent.includes(3), `parts sent: ${sent}`);
  assert.match(await page.locator(".problem").innerText(), /safetensors|header/i);
});

test("a distillation is watched: the Q curve fills in, is chosen from, read, walked along and exported", { timeout: TIMEOUT }, async () => {
  await open("/teachers");
  await page.getByRole("link", { name: "digits-teacher" }).click();
  await page.getByRole("link", { name: "Distil it" }).click();
  await page.getByLabel("Dataset", { exact: true }).selectOption({ label: "digits (images)" });
  await page.getByRole("combobox", { name: "Architecture" }).fill("retort:resnet8");
  await page.getByRole("combobox", { name: "Architecture" }).press("Escape");
  await page.getByRole("textbox", { name: "Options", exact: true }).fill("width=8");
  await page.getByLabel("epochs", { exact: true }).fill("4");
  await page.getByText("More settings").click();
  await page.getByLabel("quality bootstrap").fill("60"); // standard errors, and time enough to watch
  await page.evaluate(() => {
    window.seen = [];
    new MutationObserver(() => {
      const note = document.querySelector(".curve-note")?.textContent.match(/^(\d+) of (\d+) layers scored/);
      if (note && window.seen.at(-1) !== note[1]) window.seen.push(note[1]);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await page.getByRole("button", { name: "Submit job" }).click();
  await arrived("succeeded");
  const seen = (await page.evaluate(() => window.seen)).map(Number);
  assert.ok(seen.some((n) => n > 0), `the curve was seen filling: ${seen}`);
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
  const curve = await service.get(`/jobs/${jobId()}/q-curve`);
  assert.equal(curve.chosen.length, 4);
  await page.getByText("What it says").waitFor();

  const chart = page.getByRole("application", { name: /Q curve/ });
  await chart.focus();
  await page.keyboard.press("ArrowRight");
  await page.locator("[aria-live]", { hasText: `Layer ${curve.layers[0].index}, ${curve.layers[0].name}` }).waitFor({ state: "attached" });

  const card = page.locator("section.card", { has: page.getByRole("heading", { name: "Q curve", exact: true }) });
  const svg = String(await saved(() => card.getByRole("button", { name: "SVG" }).click()));
  for (const index of curve.chosen) assert.ok(svg.includes(curve.layers[index].name));
  const png = await saved(() => card.getByRole("button", { name: "PNG" }).click());
  assert.equal(png.subarray(1, 4).toString(), "PNG");
  const csv = String(await saved(() => card.getByRole("button", { name: "CSV" }).click()));
  assert.equal(csv.trim().split("\n").length, 1 + curve.layers.length);
  await page.getByRole("rowheader", { name: /^Accuracy/ }).waitFor();
});

test("jobs are listed live, searched, and compared", async () => {
  await open("/");
  await page.getByRole("row", { name: /made in the form/ }).waitFor();
  await page.getByRole("searchbox", { name: "Search jobs" }).fill("made in");
  assert.equal(await page.locator("table.jobs tbody tr").count(), 1);
  await page.getByRole("searchbox", { name: "Search jobs" }).fill("");
  for (const box of await page.locator("table.jobs tbody input[type=checkbox]").all()) await box.check();
  await page.getByRole("button", { name: "Compare" }).click();
  await page.getByRole("heading", { name: "Settings that differ" }).waitFor();
  const table = String(await saved(() => page.getByRole("button", { name: "CSV" }).click()));
  assert.match(table, /Accuracy/);
});

test("cancelling asks first, says what it does, and ends the job", { timeout: TIMEOUT }, async () => {
  const { id } = await service.submit({ recipe: "cross_entropy", epochs: 5000 }, { name: "to cancel" });
  await open(`/jobs/${id}`);
  await service.until(id, ({ phase }) => phase === "distilling");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("dialog").getByText("no student is kept").waitFor();
  await page.getByRole("button", { name: "Keep it" }).click();
  await arrived("running"); // the page may hear of it later than the API says it
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("button", { name: "Cancel the job" }).click();
  await arrived("cancelled");
});

test("stopping keeps the best student", { timeout: TIMEOUT }, async () => {
  const { id } = await service.submit({ recipe: "cross_entropy", epochs: 5000 }, { name: "to stop" });
  await open(`/jobs/${id}`);
  await page.locator(".u-legend", { hasText: "validation accuracy" }).waitFor({ timeout: TIMEOUT });
  await page.getByRole("button", { name: "Stop and keep best" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop and keep best" }).click();
  await arrived("succeeded");
  await page.getByRole("button", { name: "student.safetensors", exact: true }).waitFor();
});

test("a job is paused and resumed", { timeout: TIMEOUT }, async () => {
  const { id } = await service.submit({ recipe: "cross_entropy", epochs: 5000 }, { name: "to pause" });
  await open(`/jobs/${id}`);
  await service.until(id, ({ phase, progress }) => phase === "distilling" && progress?.step > 0);
  await page.getByRole("button", { name: "Pause" }).click();
  await arrived("paused");
  await page.getByRole("button", { name: "Resume" }).click();
  await arrived("running");
  await service.post(`/jobs/${id}/cancel`);
  await arrived("cancelled");
});

test("a failure says what happened, whose fault it is and what to change", { timeout: TIMEOUT }, async () => {
  const { id } = await service.submit({ recipe: "cross_entropy", epochs: 200, learning_rate: 1e12 }, { name: "to fail" });
  await open(`/jobs/${id}`);
  await arrived("failed");
  await page.locator(".failure h2").waitFor();
  await page.getByText("What to do").waitFor();
  await page.locator(".failure .fault code").waitFor();
  await page.getByRole("button", { name: "Clone" }).click();
  await page.getByRole("heading", { name: "Clone a job" }).waitFor();
  assert.equal(await page.getByLabel("epochs", { exact: true }).inputValue(), "200");
  assert.equal(await page.getByLabel("learning rate", { exact: true }).inputValue(), "1000000000000");
});

test("a restart of the service is told honestly, and the page goes on by itself", { timeout: TIMEOUT }, async () => {
  const { id } = await service.submit({ recipe: "cross_entropy", epochs: 5000 }, { name: "to survive" });
  await open(`/jobs/${id}`);
  await page.locator('.live[data-mode="live"]').waitFor();
  await service.until(id, ({ phase, progress }) => phase === "distilling" && progress?.step > 0);
  const before = (await service.get(`/jobs/${id}`)).progress.step;
  await service.stop();
  await page.getByText("Not reachable for").waitFor();
  await page.getByText("Connection lost, trying again").waitFor();
  await service.run();
  await page.locator('.live[data-mode="live"]').waitFor({ timeout: within(90_000) });
  await service.until(id, ({ attempt, progress }) => attempt > 1 && progress?.step > before);
  await page.locator(".vitals", { hasText: "of at most" }).waitFor();
  await page.getByText("Connected").waitFor();
  const steps = await page.evaluate(async (job) => (await (await fetch(`/jobs/${job}/events?limit=200`)).json()).items.map(({ seq }) => seq), id);
  assert.deepEqual(steps, steps.map((_, at) => at + 1));
  await service.post(`/jobs/${id}/cancel`);
  await arrived("cancelled");
});

test("data sets are inspected: classes and counts are shown", { timeout: TIMEOUT }, async () => {
  await open("/datasets");
  await page.getByRole("link", { name: "digits" }).click();
  await page.getByRole("heading", { name: "Images by class" }).waitFor();
  assert.equal(await page.locator("table.bars tbody tr").count(), 10);
});

test("the system page tells workers, parts and queue", async () => {
  await open("/system");
  await page.getByRole("heading", { name: "Workers" }).waitFor();
  await page.getByText("Object store").waitFor();
});

test("nothing went wrong unseen: no exception, no violation of the content security policy", () => {
  assert.deepEqual(trouble, []);
});
