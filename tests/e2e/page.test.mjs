// The page that an export writes, opened as a file: what it says of pictures is what the delivered student says in Python.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { AXE, launch } from "./browser.mjs";
import { PYTHON, ROOT, within } from "./service.mjs";

const TIMEOUT = within(300_000);
/** fp32 by two builds of one runtime: what a share or a score may differ by. */
const NEAR = 1e-3;
const given = process.env.RETORT_PAGES; // a folder that was made before
const folder = given ?? mkdtempSync(join(tmpdir(), "retort-pages-"));
let browser;

before(async () => {
  if (!given) await promisify(execFile)(PYTHON, ["-m", "tests.e2e.page_files", folder], { cwd: ROOT, env: { ...process.env, PYTHONPATH: ROOT, OMP_NUM_THREADS: "1" } });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  if (!given) await rm(folder, { recursive: true, force: true });
});

const near = (found, wanted, what) => assert.ok(Math.abs(found - wanted) < NEAR, `${what}: ${found}, not ${wanted}`);

/** A page with its student loaded, and what it asked the network for: nothing. */
async function opened(name, viewport = { width: 1100, height: 800 }) {
  const page = await browser.newPage({ viewport });
  page.trouble = [];
  page.on("pageerror", (error) => page.trouble.push(error.message));
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && page.trouble.push(said.text()));
  page.on("request", (request) => /^(file|data|blob):/.test(request.url()) || page.trouble.push(request.url()));
  await page.goto(pathToFileURL(join(folder, name, "page.html")).href);
  await page.locator("body[data-state=ready]").waitFor({ timeout: within(60_000) });
  return page;
}

async function shown(page, path) {
  await page.getByLabel(/choose one/).setInputFiles(path);
  await page.waitForFunction(() => document.body.dataset.state !== "working" && document.body.dataset.state !== "ready", null, { timeout: within(60_000) });
  assert.equal(await page.locator("body").getAttribute("data-state"), "answered", await page.getByRole("status").textContent());
  assert.match(await page.getByRole("status").textContent(), /^\d+ ms in this browser/);
  return page.locator("#scores tr").evaluateAll((rows) => rows.map(({ dataset, className }) => ({ index: Number(dataset.index), score: Number(dataset.score), said: className === "said" })));
}

const CHECKS = {
  class: async (_, rows, wanted) => {
    assert.equal(rows[0].index, wanted.index);
    assert.ok(rows[0].said);
    for (const { index, probability } of wanted.top) near(rows.find((row) => row.index === index).score, probability, `class ${index}`);
  },
  labels: async (_, rows, wanted) => {
    assert.equal(rows.filter(({ said }) => said).length, wanted.labels.length);
    for (const { index, probability } of wanted.scores.slice(0, rows.length)) near(rows.find((row) => row.index === index).score, probability, `label ${index}`);
  },
  mask: async (page, _, wanted) => {
    const found = await page.evaluate(() => [...window.mask]);
    assert.equal(found.length, wanted.classes.length);
    const same = found.filter((index, i) => index === wanted.classes[i]).length / found.length;
    assert.ok(same > 0.999, `${same} of the pixels`);
  },
  boxes: async (page, rows, wanted) => {
    const found = await page.evaluate(() => window.boxes);
    assert.equal(found.length, wanted.boxes.length);
    assert.equal(rows.length, wanted.boxes.filter(({ score }) => score >= wanted.sure).length);
    // Two builds order boxes of nearly one score otherwise: each has its like among the others, once.
    for (const { index, score, corners } of wanted.boxes) {
      const like = found.findIndex((box) => box.index === index && Math.abs(box.score - score) < NEAR && box.corners.every((corner, side) => Math.abs(corner - corners[side]) < 0.1));
      assert.ok(like >= 0, `no box of class ${index} with score ${score} at ${corners}`);
      found.splice(like, 1);
    }
  },
};

for (const name of ["classify_images", "tag_images", "segment_images", "detect_objects"])
  test(`${name}: it says what the student says`, { timeout: TIMEOUT }, async () => {
    const wanted = JSON.parse(readFileSync(join(folder, name, "wanted.json"), "utf8"));
    const page = await opened(name);
    const pictures = readdirSync(join(folder, name)).filter((file) => file.endsWith(".png"));
    assert.ok(pictures.length >= 4);
    for (const picture of pictures) await CHECKS[wanted[picture].kind](page, await shown(page, join(folder, name, picture)), wanted[picture]);
    assert.deepEqual(page.trouble, []);
    if (process.env.RETORT_PICTURES) await page.screenshot({ path: join(process.env.RETORT_PICTURES, `page-${name}.png`), fullPage: true });
    await page.close();
  });

test("what is no picture is said, and the next one is answered", { timeout: TIMEOUT }, async () => {
  const page = await opened("classify_images");
  await page.getByLabel(/choose one/).setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no picture") });
  await page.locator("body[data-state=failed]").waitFor();
  await page.getByText(/cannot read it as a picture/).waitFor();
  const picture = readdirSync(join(folder, "classify_images")).find((file) => file.endsWith(".png"));
  assert.ok((await shown(page, join(folder, "classify_images", picture))).length > 1);
  await page.close();
});

test("it is readable on a phone and by a screen reader", { timeout: TIMEOUT }, async () => {
  const page = await opened("detect_objects", { width: 375, height: 700 });
  const picture = readdirSync(join(folder, "detect_objects")).findLast((file) => file.endsWith(".png"));
  await shown(page, join(folder, "detect_objects", picture));
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepEqual(violations.map(({ id }) => id), []);
  if (process.env.RETORT_PICTURES) await page.screenshot({ path: join(process.env.RETORT_PICTURES, "page-phone.png"), fullPage: true });
  await page.close();
});
