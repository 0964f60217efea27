// axe on every page, light and dark; phone width without sideways scrolling; no page needs a mouse.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { AXE, launch } from "./browser.mjs";
import { populate, populateTexts, TEXT_VIEWS, VIEWS } from "./scenes.mjs";
import { Service, within } from "./service.mjs";

const TIMEOUT = within(600_000);
const AXE_TEXT = readFileSync(AXE, "utf8");
let service;
let browser;
let views;

before(async () => {
  service = await Service.start();
  browser = await launch();
}, { timeout: TIMEOUT });

after(async () => {
  await browser?.close();
  await service?.remove();
});

async function visit(path, options) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", ...options });
  await page.goto(`${service.url}/ui${path}`);
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => !document.querySelector(".loading"));
  await page.waitForTimeout(600);
  return page;
}

async function findings(page) {
  await page.evaluate(AXE_TEXT); // the page's own policy allows no foreign script tag
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.ok(passes.length > 10, "axe has looked at the page");
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target.join(" ")} (${node.failureSummary?.split("\n")[1]?.trim()})`).join("; ")}`);
}

test("the empty service", { timeout: TIMEOUT }, async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await visit("/", { colorScheme });
    assert.deepEqual(await findings(page), []);
    await page.close();
  }
});

test("there is something on every page", { timeout: TIMEOUT }, async () => {
  const texts = await populateTexts(service); // first: the other's last job runs on, and takes the only slot
  const { jobs, ids } = await populate(service);
  views = Object.entries({ ...VIEWS(jobs, ids), ...TEXT_VIEWS(texts) });
});

for (const colorScheme of ["light", "dark"]) {
  test(`no serious finding on any page, ${colorScheme}`, { timeout: TIMEOUT }, async () => {
    const found = [];
    for (const [name, path] of views) {
      const page = await visit(path, { colorScheme });
      found.push(...(await findings(page)).map((finding) => `${name}: ${finding}`));
      await page.close();
    }
    assert.deepEqual(found, []);
  });
}

test("every part of a job's details, and the dialogs", { timeout: TIMEOUT }, async () => {
  const page = await visit(views.find(([name]) => name === "job-running")[1]);
  for (const tab of ["Artifacts", "Configuration", "Inputs", "Attempts"]) {
    await page.getByRole("tab", { name: tab }).click();
    await page.waitForTimeout(300);
    assert.deepEqual(await findings(page), [], tab);
  }
  await page.getByRole("button", { name: "As a table" }).click();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  assert.deepEqual(await findings(page), [], "dialog");
  await page.close();
});

test("a phone needs no sideways scrolling", { timeout: TIMEOUT }, async () => {
  for (const [name, path] of views) {
    const page = await visit(path, { viewport: { width: 360, height: 740 } });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
    await page.close();
  }
});

test("between phone and desk every button of the list is in sight", { timeout: TIMEOUT }, async () => {
  for (const width of [768, 900, 1000]) {
    const page = await visit("/", { viewport: { width, height: 900 } });
    const hidden = await page.evaluate(() => {
      const edge = document.querySelector("table.jobs").closest(".card").getBoundingClientRect().right;
      return [...document.querySelectorAll(".jobs .actions button")].filter((button) => button.getBoundingClientRect().right > edge).length;
    });
    assert.equal(hidden, 0, `${width} pixels`);
    await page.close();
  }
});

test("the keyboard alone: skip link, shortcuts, focus on the new page's heading", { timeout: TIMEOUT }, async () => {
  const page = await visit("/");
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to content");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("type")), "search");
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.getByRole("heading", { name: "System", exact: true }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "H1");
  await page.close();
});
