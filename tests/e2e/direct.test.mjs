// Uploads with an object store that browsers reach: parts go there by signed URLs, and through the API when that fails.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { PYTHON, ROOT, Service, within } from "./service.mjs";

const TIMEOUT = within(240_000);
const folder = mkdtempSync(join(tmpdir(), "retort-e2e-"));
let store;
let endpoint;
let service;
let browser;

before(async () => {
  store = spawn(PYTHON, ["-m", "tests.e2e.s3_server", join(folder, "s3")], { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
  const { value } = await createInterface({ input: store.stdout })[Symbol.asyncIterator]().next();
  const s3 = JSON.parse(value);
  endpoint = s3.endpoint;
  const settings = { RETORT_S3_ENDPOINT: endpoint, RETORT_S3_PUBLIC_ENDPOINT: endpoint, RETORT_S3_ACCESS_KEY: s3.access, RETORT_S3_SECRET_KEY: s3.secret };
  service = await Service.start(folder, "", { ...settings, RETORT_S3_BUCKET: "e2e" });
  execFileSync(PYTHON, ["-m", "tests.e2e.files", folder], { cwd: ROOT });
  browser = await launch();
}, { timeout: TIMEOUT });

after(async () => {
  await browser?.close();
  store?.stdin.end();
  await service?.remove();
});

/** Upload the dataset; who was sent parts, and what the policy forbade. */
async function upload(name, prepare = async () => {}) {
  const page = await browser.newPage();
  const sent = [];
  const trouble = [];
  page.on("request", (request) => request.method() === "PUT" && sent.push(new URL(request.url()).origin));
  page.on("console", (message) => /Content Security Policy/.test(message.text()) && trouble.push(message.text()));
  await prepare(page);
  await page.goto(`${service.url}/ui/datasets`);
  await page.getByRole("button", { name: "Add" }).click();
  await page.locator("input[type=file]").setInputFiles(join(folder, "classes.zip"));
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Register dataset" }).click();
  await page.getByRole("heading", { name }).waitFor({ timeout: within(90_000) });
  await page.getByRole("img", { name: "8 training images of class0" }).waitFor();
  await page.close();
  assert.deepEqual(trouble, []);
  return sent;
}

test("parts go to the store itself", { timeout: TIMEOUT }, async () => {
  assert.deepEqual(await upload("straight"), [endpoint]);
});

test("where the browser cannot reach it, the API takes them", { timeout: TIMEOUT }, async () => {
  assert.deepEqual(await upload("around", (page) => page.route(`${endpoint}/**`, (route) => route.abort())), [endpoint, service.url]);
});
