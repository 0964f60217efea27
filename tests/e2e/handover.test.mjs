// A finished student at phone width: asked about a picture beside its teacher, where the two differ, and published with
// credentials that are given here and seen nowhere. What is drawn fits the screen.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { Service, within } from "./service.mjs";

const PHONE = { width: 390, height: 844 };
const PASSWORD = "of-the-bucket-and-nobody-elses";
const TIMEOUT = within(300_000);
const done = ({ status }) => status === "succeeded";
/** A grey square of 16 x 16 pixels. */
const PICTURE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAEUlEQVR4nGNsYEAFTAwjWgAAmZAAoC0n3a4AAAAASUVORK5CYII=", "base64");
let service;
let browser;
let page;
let job;
const trouble = [];

before(async () => {
  const settings = { RETORT_SECRETS_KEY: Buffer.alloc(32, 7).toString("base64"), RETORT_PUBLISH_HTTP_HOSTS: "127.0.0.1", RETORT_PUBLISH_NETWORKS: "127.0.0.0/8" };
  service = await Service.start(undefined, "", settings);
  browser = await launch();
  page = await browser.newPage({ viewport: PHONE });
  page.on("pageerror", (error) => trouble.push(error.message));
  const first = await service.submit({ recipe: "cross_entropy", epochs: 1 });
  await service.until(first.id, done);
  const teacher = await service.post("/teachers", { artifact: { job_id: first.id, name: "student.safetensors" }, name: "resnet8" });
  const second = await service.submit({ recipe: "logit", epochs: 1 }, { teacher: teacher.id });
  job = await service.until(second.id, done);
}, { timeout: TIMEOUT });

after(async () => {
  await browser?.close();
  await service?.remove();
});

const card = (title) => page.getByRole("region", { name: title, exact: true });

/** Nothing that is drawn makes the page wider than the screen. */
async function fits() {
  const wide = await page.evaluate(() => ({ page: document.documentElement.scrollWidth, screen: innerWidth }));
  assert.ok(wide.page <= wide.screen, `the page is ${wide.page} pixels wide on a screen of ${wide.screen}`);
}

test("a picture is answered by student and teacher", { timeout: TIMEOUT }, async () => {
  await page.goto(`${service.url}/ui/jobs/${job.id}`);
  const desk = card("Try it");
  await desk.locator("input[type=file]").setInputFiles({ name: "grey.png", mimeType: "image/png", buffer: PICTURE });
  const answer = desk.getByRole("article", { name: "grey.png" });
  await answer.getByRole("heading", { name: /^Teacher/ }).waitFor({ timeout: within(120_000) });
  assert.match(await answer.innerText(), /Agreement \d+ ?%/);
  await fits();
});

test("the test samples on which the two differ most are listed", { timeout: TIMEOUT }, async () => {
  const ranking = card("Where student and teacher differ");
  await ranking.getByRole("listitem").first().waitFor();
  const page1 = await ranking.getByRole("listitem").count();
  assert.equal(page1, 12);
  assert.ok(await ranking.getByRole("img").first().isVisible());
  await ranking.getByRole("button", { name: "Show more" }).click();
  await ranking.getByRole("listitem").nth(page1).waitFor();
  await fits();
});

test("it is published, and the result is read back", { timeout: TIMEOUT }, async () => {
  const panel = card("Publish");
  await panel.getByLabel("Target").selectOption("tensorboard");
  await panel.getByRole("button", { name: "Publish", exact: true }).click();
  const row = panel.getByRole("row", { name: /tensorboard/ });
  await row.getByText("succeeded").waitFor({ timeout: within(120_000) });
  const [file] = await Promise.all([page.waitForEvent("download"), row.getByRole("button").or(row.getByRole("link")).last().click()]);
  assert.match(file.suggestedFilename(), /tfevents/);
  assert.ok(readFileSync(await file.path()).length > 100);
  await fits();
});

test("credentials are kept, used and never shown", { timeout: TIMEOUT }, async () => {
  const panel = card("Publish");
  await panel.getByLabel("Target").selectOption("s3");
  await panel.getByLabel(/^endpoint$/i).fill("http://127.0.0.1:9"); // nobody is there
  await panel.getByLabel(/^bucket$/i).fill("models");
  await panel.getByRole("button", { name: "New credentials" }).click();
  await panel.getByLabel("Name", { exact: true }).fill("bucket");
  await panel.getByLabel(/^access key/i).fill("me");
  await panel.getByLabel(/^secret key/i).fill(PASSWORD);
  await fits();
  await panel.getByRole("button", { name: "Keep" }).click();
  await panel.getByRole("combobox", { name: "Secret" }).and(page.locator(":has(option:checked:text-is('bucket'))")).waitFor();
  assert.deepEqual((await service.get("/secrets")).items.map(({ name, parts }) => [name, [...parts].sort()]), [["bucket", ["access_key", "secret_key"]]]);
  await panel.getByRole("button", { name: "Publish", exact: true }).click();
  await panel.getByRole("row", { name: /s3/ }).waitFor();
  assert.ok(!(await page.content()).includes(PASSWORD));
  if (process.env.SHOTS) await panel.screenshot({ path: process.env.SHOTS });
  await fits();
});

test("no page of it had an error of its own", () => assert.deepEqual(trouble, []));
