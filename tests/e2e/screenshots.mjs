// Every page, light and dark, at desktop width, and the most used ones on a phone: into docs/images, as small PNGs.
// TEXTS=1: only what jobs on texts look like.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

import { launch } from "./browser.mjs";
import { populate, populateTexts, TEXT_VIEWS, VIEWS } from "./scenes.mjs";
import { PYTHON, ROOT, Service } from "./service.mjs";

const OUT = join(ROOT, "docs", "images");
const LIMIT = 150_000;
const EPOCHS = Number(process.env.EPOCHS ?? 30);
const PHONE = ["jobs", "job", "new", "text-dataset"];

const taken = [];

mkdirSync(OUT, { recursive: true });
const service = await Service.start();
const browser = await launch();
try {
  for (const theme of ["light", "dark"]) if (!process.env.TEXTS) await shoot("welcome", "/", theme);
  await shootAll(TEXT_VIEWS(await populateTexts(service))); // first: the other's last job runs on, and takes the only slot
  if (!process.env.TEXTS) {
    const { jobs, ids } = await populate(service, EPOCHS);
    await shootAll(VIEWS(jobs, ids));
  }
} finally {
  await browser.close();
  await service.remove();
}
execFileSync(PYTHON, ["tests/e2e/shrink.py", ...taken], { stdio: "inherit" });
const large = readdirSync(OUT).filter((name) => statSync(join(OUT, name)).size > LIMIT);
if (large.length > 0) throw new Error(`Larger than ${LIMIT} bytes: ${large.join(", ")}`);

async function shootAll(views) {
  for (const [name, path] of Object.entries(views)) {
    for (const theme of ["light", "dark"]) await shoot(name, path, theme);
    if (PHONE.includes(name)) await shoot(`${name}-phone`, path, "light", { width: 390, height: 844 }, 2);
  }
}

async function shoot(name, path, colorScheme, viewport = { width: 1280, height: 860 }, deviceScaleFactor = 1) {
  const page = await browser.newPage({ viewport, colorScheme, deviceScaleFactor, reducedMotion: "reduce" });
  await page.goto(`${service.url}/ui${path}`);
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => !document.querySelector(".loading"));
  await page.waitForTimeout(2500);
  const tall = name.startsWith("text-") || ["job", "new", "job-running", "compare"].includes(name);
  const clip = tall ? await page.evaluate(() => ({ x: 0, y: 0, width: innerWidth, height: Math.min(document.documentElement.scrollHeight, 2400) })) : undefined;
  taken.push(join(OUT, `${name}-${colorScheme}.png`));
  await page.screenshot({ path: taken.at(-1), fullPage: tall, clip });
  await page.close();
}
