// Studies, students by budget and recipe auto: forms that check before anything is queued, and the pages of what came of it.
// PICTURES=folder keeps what was looked at.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { AXE, launch } from "./browser.mjs";
import { Service, within } from "./service.mjs";

const TIMEOUT = within(600_000);
const AXE_TEXT = readFileSync(AXE, "utf8");
const PICTURES = process.env.PICTURES;
const QUICK = { epochs: 1, train_limit: 400 };
const LOOKS = [["light", 1280], ["dark", 375]].map(([colorScheme, width]) => ({ colorScheme, viewport: { width, height: 900 } }));
let service;
let browser;
let made;

before(async () => {
  if (PICTURES) mkdirSync(PICTURES, { recursive: true });
  service = await Service.start();
  browser = await launch();
  made = await populate();
}, { timeout: TIMEOUT });

after(async () => {
  await browser?.close();
  await service?.remove();
});

const done = ({ status }) => status === "succeeded";

/** A teacher, a job that chose its recipe and its student by a budget, and a study of two places. */
async function populate() {
  const big = await service.submit({ recipe: "cross_entropy", ...QUICK }, { name: "the teacher" });
  await service.until(big.id, done, 600);
  const teacher = await service.post("/teachers", { artifact: { job_id: big.id, name: "student.safetensors" }, name: "digits teacher" });
  const config = { recipe: "auto", auto_steps: 2, auto_recipes: ["cross_entropy", "logit", "feature_only"], ...QUICK };
  const student = { budget: { bytes: 60_000 }, families: ["retort:resnet8", "retort:resnet14"] };
  const auto = await service.post("/jobs", { dataset: { named: "digits" }, teacher: teacher.id, student, config, name: "which recipe, which student" });
  await service.until(auto.id, done, 600);
  const base = { dataset: { named: "digits" }, student: { name: "retort:resnet8", options: { width: 8 } }, config: { recipe: "cross_entropy", ...QUICK } };
  const space = { "/config/learning_rate": { choices: [0.001, 0.01] }, "/student/options/width": { choices: [4, 8] } };
  const study = await service.post("/studies", { base, space, strategy: "grid", seeds: 1, confirm: 0, budget: { trials: 5, parallel: 1 }, name: "rate and width" });
  for (let waited = 0; waited < within(600); waited += 1) {
    const { status, error } = await service.get(`/studies/${study.id}`);
    if (status === "succeeded") return { teacher: teacher.id, auto: auto.id, big: big.id, study: study.id };
    assert.ok(!["failed", "cancelled"].includes(status), JSON.stringify(error));
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  throw new Error("The study did not end.");
}

async function visit(path, options) {
  const page = await browser.newPage({ reducedMotion: "reduce", ...options });
  await page.goto(`${service.url}/ui${path}`);
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => !document.querySelector(".loading"));
  return page;
}

/** No serious finding of axe, and nothing wider than the page. */
async function inspected(page, name, { colorScheme, viewport }) {
  await page.waitForTimeout(600);
  if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}-${viewport.width}.png`), fullPage: true });
  await page.evaluate(AXE_TEXT); // the page's own policy allows no foreign script tag
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.ok(passes.length > 10, "axe has looked at the page");
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join("; ")}`);
  assert.deepEqual(grave, [], `${name}, ${colorScheme}, ${viewport.width}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${name} is ${wide} pixels too wide at ${viewport.width}`);
}

for (const look of LOOKS) {
  const told = `${look.colorScheme}, ${look.viewport.width}`;

  test(`a new job by budget: refused with the smallest, raised, and its candidates (${told})`, { timeout: TIMEOUT }, async () => {
    const page = await visit(`/new?from=${made.big}`, look);
    await page.getByRole("radio", { name: /By budget/ }).check();
    await page.getByLabel("bytes", { exact: true }).fill("3000");
    await page.getByLabel("families", { exact: true }).fill("retort:resnet8, retort:resnet14");
    await page.getByRole("button", { name: "Check only" }).click();
    await page.getByRole("button", { name: "Raise the budget to it" }).waitFor();
    await inspected(page, "new-budget-refused", look);
    await page.getByRole("button", { name: "Raise the budget to it" }).click();
    assert.ok(Number(await page.getByLabel("bytes", { exact: true }).inputValue()) > 3000);
    await page.getByRole("button", { name: "Check only" }).click();
    await page.getByRole("group", { name: "Candidates of the budget" }).waitFor();
    await inspected(page, "new-budget", look);
    await page.close();
  });

  test(`a new job that prunes its teacher and chooses its recipe (${told})`, { timeout: TIMEOUT }, async () => {
    const page = await visit(`/new?from=${made.auto}`, look);
    await page.getByRole("radio", { name: /The teacher, pruned/ }).check();
    await page.getByLabel("ratio", { exact: true }).fill("0.5");
    await page.getByRole("button", { name: "Check only" }).click();
    await page.getByText("recipes are compared").waitFor();
    await inspected(page, "new-auto-pruned", look);
    await page.close();
  });

  test(`a job says how recipe and student were chosen (${told})`, { timeout: TIMEOUT }, async () => {
    const page = await visit(`/jobs/${made.auto}`, look);
    await page.getByRole("heading", { name: "How the recipe was chosen" }).waitFor();
    await page.getByRole("heading", { name: "How the student was chosen" }).waitFor();
    await inspected(page, "job-auto", look);
    await page.close();
  });

  test(`a study's page, and a study of a job by budget (${told})`, { timeout: TIMEOUT }, async () => {
    const page = await visit(`/studies/${made.study}`, look);
    await page.getByRole("application", { name: /configurations on \d axes/ }).waitFor();
    await inspected(page, "study", look);
    await page.close();
    const varied = await visit(`/studies/new?job=${made.big}`, look);
    await varied.getByRole("radio", { name: /By budget/ }).check();
    await varied.getByLabel("bytes", { exact: true }).fill("60000");
    await varied.getByLabel("families", { exact: true }).fill("retort:resnet8, retort:resnet14");
    await varied.getByRole("button", { name: "Check", exact: true }).click();
    await varied.getByRole("group", { name: "Candidates of the budget" }).waitFor();
    await inspected(varied, "new-study", look);
    await varied.close();
  });
}
