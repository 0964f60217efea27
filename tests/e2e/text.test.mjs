// Texts, all the way by the forms: a dataset and a base model are registered, the base is fine-tuned, its student becomes
// a teacher, is distilled, and what comes out is a Hugging Face folder. Then a decoder, of which the page shows its own figures.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { distilDecoder, textFiles } from "./scenes.mjs";
import { Service, within } from "./service.mjs";

const TIMEOUT = within(300_000);
const done = ({ status }) => status === "succeeded";
let service;
let browser;
let page;
const trouble = [];

before(async () => {
  service = await Service.start();
  await textFiles(service);
  browser = await launch();
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => trouble.push(error.message));
});

after(async () => {
  await browser?.close();
  await service?.remove();
});

const open = (path) => page.goto(`${service.url}/ui${path}`);
const file = (name) => join(service.folder, name);
const fill = (label, value) => page.getByLabel(label, { exact: true }).fill(value);
const choose = async (label, words) => {
  const select = page.getByLabel(label, { exact: true });
  await select.selectOption(await select.getByRole("option", { name: words }).getAttribute("value"));
};

/** Submit the form and return the job once it has succeeded. */
async function submitted() {
  await page.getByRole("button", { name: "Submit job" }).click();
  await page.waitForURL(/\/jobs\/job_/);
  return service.until(page.url().split("/").at(-1), done);
}

test("texts come as two files, and what is in both is said loudly", { timeout: TIMEOUT }, async () => {
  await open("/datasets");
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByRole("checkbox", { name: "I have a test part of my own" }).check();
  await page.locator("input[type=file]").nth(0).setInputFiles(file("train.jsonl"));
  await page.locator("input[type=file]").nth(1).setInputFiles(file("test.jsonl"));
  await page.locator("form.upload").getByLabel("Name").fill("what animals do");
  await page.getByRole("button", { name: "Register dataset" }).click();
  await page.getByRole("heading", { name: "what animals do" }).waitFor({ timeout: within(90_000) });
  await page.getByRole("note").getByText("12 of 72 test texts (16.7 %) are also among the training texts.").waitFor({ timeout: within(90_000) });
  await page.getByRole("heading", { name: "Texts by class" }).waitFor();
  await page.getByText("table of labelled texts").waitFor();
});

test("a model's folder is chosen file by file", { timeout: TIMEOUT }, async () => {
  await open("/teachers");
  await page.getByRole("button", { name: "Upload" }).click();
  await page.locator("input[type=file]").setInputFiles(["config.json", "model.safetensors"].map((name) => file(`base/${name}`)));
  await page.getByText("still missing: tokenizer.json").waitFor();
  await page.locator("input[type=file]").setInputFiles(["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"].map((name) => file(`base/${name}`)));
  assert.equal(await page.getByRole("combobox", { name: "Its architecture" }).inputValue(), "transformers:auto");
  await page.locator("form.upload").getByLabel("Name").fill("tiny bert");
  await page.getByRole("button", { name: "Register teacher" }).click();
  await page.getByRole("heading", { name: "tiny bert" }).waitFor({ timeout: within(90_000) });
  await page.getByText("none: a base to fine-tune").waitFor({ timeout: within(90_000) });
  await page.getByText("bert, an encoder: classifies").waitFor();
});

test("the base is fine-tuned, and its student becomes a teacher", { timeout: TIMEOUT }, async () => {
  await open("/new");
  await page.getByRole("radio", { name: /^cross entropy/ }).check();
  await choose("Dataset", /^what animals do/);
  await choose("Teacher", /^tiny bert/);
  assert.equal(await page.getByLabel("augmentation").count(), 0);
  await fill("epochs", "20");
  await fill("batch size", "16");
  await fill("learning rate", "0.005");
  const tuned = await submitted();
  assert.ok(tuned.result.student.accuracy.value > 0.7, JSON.stringify(tuned.result.student.accuracy));
  await page.getByText("12 test texts are also among the training texts").waitFor();
  await page.getByText(/None of the texts is longer than max_length|Longer than max_length/).waitFor();
  await page.getByText("Texts per second, at the end").waitFor();
  await page.getByRole("button", { name: "Use as a teacher" }).click();
  await page.waitForURL(/\/teachers\/tch_/, { timeout: within(90_000) });
  await page.getByText("bad, far, good").waitFor({ timeout: within(90_000) });
});

test("it is distilled, after a check that says what that takes", { timeout: TIMEOUT }, async () => {
  await page.getByRole("link", { name: "Distil it" }).click();
  await choose("Dataset", /^what animals do/);
  assert.equal(await page.getByRole("combobox", { name: "Architecture" }).inputValue(), "transformers:auto");
  const options = page.getByLabel("width", { exact: true });
  await options.waitFor();
  const student = page.locator("section", { has: page.getByRole("heading", { name: "4. Student" }) });
  await student.getByLabel("layers", { exact: true }).fill("2");
  await options.fill("8");
  await page.locator("form").getByLabel("layers", { exact: true }).fill("2");
  await fill("epochs", "4");
  await fill("batch size", "16");
  await fill("max length", "8");
  await page.getByRole("button", { name: "Check only" }).click();
  const card = page.locator(".checked");
  await card.getByText("This job would be accepted.").waitFor({ timeout: within(90_000) });
  assert.match(await card.innerText(), /Time\s+about[\s\S]*Memory\s+about [\d.]+ [MG]B \(/);
  const job = await submitted();
  assert.deepEqual(job.student.options, { layers: 2, width: 8 });
  assert.equal(job.result.student.architecture.options.width, 8);
  await page.getByText(/Longer than max_length \(8 tokens\) and cut: \d+ of 300 train texts/).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "student.zip" }).click()]);
  assert.equal(download.suggestedFilename(), "student.zip");
  const bytes = readFileSync(await download.path());
  for (const name of ["config.json", "tokenizer.json", "model.safetensors"]) assert.ok(bytes.includes(name), name);
});

test("a decoder has its own figures, and no curve where nothing has classes", { timeout: TIMEOUT }, async () => {
  const id = await distilDecoder(service);
  await open(`/jobs/${id}`);
  for (const row of ["Accuracy of the answers' tokens", "Perplexity of the answers", "ROUGE-L of greedy answers", "Tokens/s, generating"]) await page.getByRole("rowheader", { name: new RegExp(`^${row}`) }).waitFor();
  await page.getByText(/^There is no Q curve: the dataset has no classes/).waitFor();
  await page.getByText(/^even depths, because there is no Q curve/).waitFor();
  await page.getByText("Perplexity of the answers, in validation").first().waitFor();
  assert.equal(await page.getByRole("listitem").filter({ hasText: "scoring" }).count(), 0);
});

test("nothing went wrong unseen", () => {
  assert.deepEqual(trouble, []);
});
