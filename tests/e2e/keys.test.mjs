// A service that wants a key: the page asks for it, works with it, and downloads with it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { Service, within } from "./service.mjs";

const TIMEOUT = within(240_000);
const KEY = randomBytes(24).toString("hex");
let service;
let browser;
let page;

before(async () => {
  service = await Service.start(undefined, KEY);
  browser = await launch();
  page = await browser.newPage({ acceptDownloads: true });
});

after(async () => {
  await browser?.close();
  await service?.remove();
});

test("without a key the page asks for one, and says when it is wrong", async () => {
  await page.goto(`${service.url}/ui/`);
  await page.getByLabel("API key").fill("not the key at all, I am afraid");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("unknown or has expired").waitFor();
  await page.getByLabel("API key").fill(KEY);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "Run the demo" }).waitFor();
});

test("with it everything works, live view and download included", { timeout: TIMEOUT }, async () => {
  const { id } = await service.submit({ recipe: "cross_entropy", epochs: 2 });
  await page.goto(`${service.url}/ui/jobs/${id}`);
  await page.locator(".headline .status", { hasText: "succeeded" }).waitFor({ timeout: TIMEOUT });
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "student.safetensors", exact: true }).click()]);
  assert.ok(readFileSync(await download.path()).length > 1000);
});

test("keys are made, shown once, and revoked", async () => {
  await page.goto(`${service.url}/ui/system`);
  await page.getByPlaceholder("Name of a new key").fill("scripts");
  await page.getByRole("button", { name: "Make key" }).click();
  const made = await page.locator(".checked code").innerText();
  const asked = () => fetch(`${service.url}/jobs`, { headers: { Authorization: `Bearer ${made}` } });
  assert.equal((await asked()).status, 200);
  const row = page.getByRole("row", { name: /scripts/ });
  await row.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await row.waitFor({ state: "detached" });
  await page.waitForTimeout(1500);
  assert.equal((await asked()).status, 401);
});
