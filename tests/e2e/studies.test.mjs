// A study as somebody at the screen has it: begun by "Vary…" from a job, watched, sorted, plotted, extended and cancelled.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { AXE, launch } from "./browser.mjs";
import { Service, within } from "./service.mjs";

const TIMEOUT = within(900_000);
const AXE_TEXT = readFileSync(AXE, "utf8");
const QUICK = { recipe: "cross_entropy", epochs: 1, train_limit: 300, test_limit: 100 };
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 375, height: 812 };
let service;
let browser;
let page;
let job;
let study;

before(async () => {
  service = await Service.start();
  browser = await launch();
  job = await service.submit(QUICK, { name: "the base job" });
  await service.until(job.id, ({ status }) => status === "succeeded", 600);
  page = await browser.newPage({ reducedMotion: "reduce", viewport: DESK });
}, { timeout: TIMEOUT });

after(async () => {
  await browser?.close();
  await service?.remove();
});

const seen = (text, timeout) => page.getByText(text).first().waitFor({ timeout });
const rows = () => page.getByRole("group", { name: "Table of configurations" }).locator("tbody tr");
const numbers = async () => (await rows().locator("td:first-child b").allTextContents()).map((text) => (text === "Base job" ? 0 : Number(text)));
const column = (name) => page.getByRole("columnheader", { name, exact: false });
const headed = (name) => page.getByRole("heading", { name }).first().waitFor();

/** No serious finding of axe, and nothing wider than the page. */
async function sound(name) {
  await page.waitForFunction(() => !document.querySelector(".loading"));
  await page.evaluate(AXE_TEXT); // the page's own policy allows no foreign script tag
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.ok(passes.length > 10, "axe has looked at the page");
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join("; ")}`);
  assert.deepEqual(grave, [], name);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
}

test("a study is begun by varying a job, after a look at what it takes", { timeout: TIMEOUT }, async () => {
  await page.goto(`${service.url}/ui/jobs/${job.id}`);
  await page.getByRole("button", { name: "Vary…" }).click();
  await headed("New study");
  await page.getByLabel("Place", { exact: true }).first().fill("/config/learning_rate");
  await page.getByLabel("Values", { exact: true }).selectOption("choices");
  await page.getByLabel("Choices", { exact: true }).fill("0.0001, 0.001, 0.01");
  await page.getByLabel("Strategy").selectOption("grid");
  for (const [label, value] of [["Seeds of each", "1"], ["Trials at most", "4"], ["Fresh seeds of the winner", "0"], ["At once", "1"], ["Name", "which rate"]]) await page.getByLabel(label, { exact: true }).fill(value);
  const said = page.getByRole("status").filter({ hasText: "The space has 3 points" }).filter({ hasText: "4 trials" });
  do {
    const answered = page.waitForResponse((answer) => answer.url().includes("dry_run=true"), { timeout: TIMEOUT });
    await page.getByRole("button", { name: "Check", exact: true }).click();
    assert.equal((await answered).status(), 200);
    await said.waitFor();
  } while (!(await said.textContent()).includes("of device time")); // a worker has not counted it yet
  assert.deepEqual((await service.get("/studies")).items, [], "a check begins nothing");
  assert.match(await page.locator("pre").first().textContent(), /curl[\s\S]*\/studies/);
  await page.getByRole("button", { name: "Begin" }).click();
  await page.waitForURL("**/ui/studies/stu_*", { timeout: TIMEOUT });
  await headed("which rate");
  study = new URL(page.url()).pathname.split("/").at(-1);
  assert.match(study, /^stu_/);
});

test("its page follows it to its end without being asked", { timeout: TIMEOUT }, async () => {
  await page.evaluate(() => { window.sameDocument = true; });
  await seen(/[0-3] of 4 trials, 1 active/, TIMEOUT);
  await seen("4 of 4 trials", TIMEOUT);
  await page.locator(".headline").getByText("succeeded", { exact: false }).first().waitFor({ timeout: TIMEOUT });
  await headed("Result");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 4, null, { timeout: TIMEOUT });
  assert.equal(await page.evaluate(() => window.sameDocument), true, "nothing was loaded anew");
});

test("its table is sorted by any column", { timeout: TIMEOUT }, async () => {
  const { rows: found } = await service.get(`/studies/${study}/table`);
  const mean = (number) => found.find(({ configuration }) => configuration === number).values.accuracy.mean;
  const byAccuracy = (await numbers()).map(mean);
  assert.deepEqual(byAccuracy, [...byAccuracy].sort((a, b) => b - a), "best first");
  await column("Configuration").getByRole("button").click();
  assert.deepEqual(await numbers(), [3, 2, 1, 0]);
  assert.equal(await column("Configuration").getAttribute("aria-sort"), "descending");
  await column("Configuration").getByRole("button").click();
  assert.deepEqual(await numbers(), [0, 1, 2, 3]);
});

test("its plot tells a configuration and leads to its job", { timeout: TIMEOUT }, async () => {
  const { points } = await service.get(`/studies/${study}/pareto`);
  const { configuration, job: its } = points.find((point) => point.best);
  const dot = page.locator(`circle[data-configuration="${configuration}"]`);
  await dot.dispatchEvent("mouseover"); // equal sizes lie on one another
  await seen(new RegExp(`Configuration ${configuration}: accuracy`));
  await dot.dispatchEvent("click");
  await page.waitForURL(`**/ui/jobs/${its}`);
  await page.getByRole("link", { name: "a study" }).click(); // from a trial to its study
  await headed("which rate");
});

test("its figure is walked along by keyboard, drawn against another place, and is a table too", { timeout: TIMEOUT }, async () => {
  const card = page.locator("section.card", { has: page.getByRole("heading", { name: "Figures", exact: true }) });
  const { choices } = await service.get(`/studies/${study}/figure`);
  assert.ok(choices.x.some(({ name }) => name === "/config/learning_rate"));
  await card.getByLabel("Across (x)").selectOption("latency_ms");
  const chart = card.getByRole("application", { name: /accuracy against median latency/ });
  await chart.focus();
  await page.keyboard.press("ArrowRight");
  await card.getByText(/^(Base job|Configuration \d): .*, 1 seed\.$/).waitFor();
  await page.keyboard.press("Escape");
  await card.getByText("All configurations have a single seed and so no interval.", { exact: false }).waitFor();
  await card.getByText("As a table").click();
  await card.getByRole("group", { name: "The figure as a table" }).waitFor();
  assert.equal(await card.locator("tbody tr").count(), 4);
  const [saved] = await Promise.all([page.waitForEvent("download"), card.getByRole("button", { name: "SVG" }).click()]);
  assert.match(readFileSync(await saved.path(), "utf8"), /^<\?xml[\s\S]*<svg/);
});

test("parallel coordinates go by keyboard, and their brushes filter the table", { timeout: TIMEOUT }, async () => {
  const plot = page.getByRole("application", { name: /Parallel coordinates: 4 of 4 configurations/ });
  await plot.focus();
  await page.keyboard.press("ArrowDown");
  await seen(/^(Base job|Configuration \d): /);
  await page.keyboard.press("Escape"); // what a line says stands where the count does
  await page.getByText("Filter by an axis").click();
  await page.getByLabel("learning_rate from").fill("0.6");
  await seen(/of 4 configurations: the table shows them alone/);
  assert.ok((await rows().count()) < 4);
  await page.getByRole("button", { name: "Show all" }).click();
  assert.equal(await rows().count(), 4);
  await plot.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/ui/jobs/job_*");
});

test("a study is extended from where it ended, and cancelled", { timeout: TIMEOUT }, async () => {
  const base = { dataset: { named: "digits" }, student: { name: "retort:resnet8", options: { width: 8 } }, config: QUICK };
  const made = await service.post("/studies", { base, space: { "/config/learning_rate": { low: 0.0001, high: 0.1, log: true } }, strategy: "random", seeds: 1, confirm: 0, budget: { trials: 2, parallel: 1 }, name: "endless" });
  await page.goto(`${service.url}/ui/studies/${made.id}`);
  await seen("2 of 2 trials", TIMEOUT);
  await page.getByRole("button", { name: /more trials/ }).click();
  await seen(/2 of \d\d trials, 1 active/, TIMEOUT);
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator(".headline").getByText("cancelled").waitFor({ timeout: TIMEOUT });
  const { status, counts } = await service.get(`/studies/${made.id}`);
  assert.deepEqual([status, counts.active ?? 0, counts.succeeded >= 2], ["cancelled", 0, true]);
});

for (const [name, path, wait] of [
  ["study", () => `/studies/${study}`, () => page.getByRole("application", { name: /Parallel/ }).waitFor()],
  ["studies", () => "/studies", () => page.getByRole("link", { name: "which rate" }).waitFor()],
  ["new-study", () => `/studies/new?job=${job.id}`, () => headed("New study")],
]) {
  test(`${name} on a phone, in the dark`, { timeout: TIMEOUT }, async () => {
    await page.setViewportSize(PHONE);
    await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
    await page.goto(`${service.url}/ui${path()}`);
    await wait();
    await sound(name);
  });
}
