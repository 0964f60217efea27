// What goes in and who is told: datasets by file and by URL with what is seen of them, layers, estimates, webhooks, docs.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { listen } from "./listener.mjs";
import { PYTHON, ROOT, Service, within } from "./service.mjs";

const TIMEOUT = within(240_000);
let service;
let browser;
let page;
let files;
const trouble = [];

before(async () => {
  service = await Service.start();
  execFileSync(PYTHON, ["-m", "tests.e2e.files", service.folder], { cwd: ROOT });
  files = await listen({ "/classes.zip": readFileSync(join(service.folder, "classes.zip")) });
  browser = await launch();
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) trouble.push(message.text());
  });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (!["blob:", "data:"].includes(protocol) && origin !== service.url) trouble.push(`asked ${request.url()}`);
  });
});

after(async () => {
  await browser?.close();
  files?.close();
  await service?.remove();
});

const open = (path) => page.goto(`${service.url}/ui${path}`);

/** The sheet's bytes really are drawn: the tile has more than one colour. */
async function drawn(name) {
  const strip = page.getByRole("img", { name });
  await strip.waitFor();
  const box = await strip.boundingBox();
  const picture = await page.screenshot({ clip: box });
  const plain = await page.evaluate(async (bytes) => {
    const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return new Set(context.getImageData(0, 0, image.width, image.height).data.filter((_, at) => at % 4 === 0)).size;
  }, [...picture]);
  return plain > 20;
}

test("a table of images is uploaded, and its classes are seen", { timeout: TIMEOUT }, async () => {
  await open("/datasets");
  await page.getByRole("button", { name: "Add" }).click();
  await page.locator("input[type=file]").setInputFiles(join(service.folder, "animals.csv"));
  await page.getByRole("button", { name: "Register dataset" }).click();
  await page.getByRole("heading", { name: "animals" }).waitFor({ timeout: within(90_000) });
  await page.locator(".headline .status", { hasText: "ready" }).waitFor({ timeout: within(90_000) });
  assert.ok(await drawn("8 training images of cat"));
});

test("a dataset is fetched by URL, and what the operator does not allow is refused where it stands", { timeout: TIMEOUT }, async () => {
  await open("/datasets");
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByRole("tab", { name: "A URL" }).click();
  await page.getByRole("textbox", { name: /^URL/ }).fill("https://example.org/classes.zip");
  await page.getByRole("button", { name: "Fetch and register" }).click();
  await page.locator(".problem", { hasText: "does not allow calls to example.org" }).waitFor();
  await page.getByRole("textbox", { name: /^URL/ }).fill(`${files.url}classes.zip`);
  await page.getByRole("button", { name: "Fetch and register" }).click();
  await page.getByRole("heading", { name: "classes.zip" }).waitFor({ timeout: within(90_000) });
  await page.getByText(`from ${files.url}classes.zip`).waitFor();
  assert.ok(await drawn("8 training images of class1"));
});

test("a teacher's layers are listed with their depth and shape", { timeout: TIMEOUT }, async () => {
  const { id } = await service.submit({ recipe: "cross_entropy", epochs: 1 });
  await service.until(id, ({ status }) => status === "succeeded");
  const teacher = await service.post("/teachers", { artifact: { job_id: id, name: "student.safetensors" } });
  await open(`/teachers/${teacher.id}`);
  await page.getByRole("heading", { name: "Layers" }).waitFor();
  const rows = page.locator(".layers tbody tr");
  assert.equal(await rows.count(), 5);
  assert.match(await rows.first().innerText(), /0\.20\s+stem\s+stem\s+8 × 32 × 32/);
  await page.getByText(/FLOP for one image of 32 × 32 pixels/).waitFor();
});

test("a check estimates what the job will take", { timeout: TIMEOUT }, async () => {
  await open("/new");
  await page.getByRole("radio", { name: /^cross entropy/ }).check();
  await page.getByLabel("Dataset", { exact: true }).selectOption({ label: "digits" }).catch(() => page.getByLabel("Dataset", { exact: true }).selectOption({ index: 1 }));
  await page.getByRole("combobox", { name: "Architecture" }).fill("retort:resnet8");
  await page.getByRole("combobox", { name: "Architecture" }).press("Escape");
  await page.getByRole("button", { name: "Check only" }).click();
  const card = page.locator(".checked");
  await card.getByText("This job would be accepted.").waitFor({ timeout: within(90_000) });
  assert.match(await card.innerText(), /Memory\s+about [\d.]+ [MG]B \(/);
  assert.match(await card.innerText(), /Disk\s+about/);
});

test("a webhook is made, tested, and its deliveries are seen", { timeout: TIMEOUT }, async () => {
  await open("/system");
  await page.getByRole("heading", { name: "Storage" }).waitFor();
  await page.getByLabel("Address of a new webhook").fill(files.url);
  await page.getByRole("button", { name: "Add webhook" }).click();
  await page.locator(".checked code", { hasText: /^whsec_/ }).waitFor();
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByRole("cell", { name: /^delivered, answered 200/ }).waitFor({ timeout: within(60_000) });
  assert.equal(files.heard.length, 1);
  await page.getByRole("button", { name: "Send again" }).click();
  for (let waited = 0; files.heard.length < 2 && waited < 60; waited += 1) await page.waitForTimeout(500);
  assert.equal(files.heard.length, 2);
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("Nobody is told yet.").waitFor();
});

test("the API's documentation comes from the service alone", { timeout: TIMEOUT }, async () => {
  await page.goto(`${service.url}/docs`);
  await page.locator(".opblock-summary-path", { hasText: "/datasets" }).first().waitFor({ timeout: within(60_000) });
  await page.locator(".opblock", { hasText: "List datasets" }).first().click();
  await page.getByRole("button", { name: "Try it out" }).click();
  await page.getByRole("button", { name: "Execute" }).click();
  await page.locator(".live-responses-table .response-col_status", { hasText: "200" }).waitFor();
});

test("nothing went wrong unseen: no exception, no violation of the policy, no request elsewhere", () => {
  assert.deepEqual(trouble, []);
});
