// Real Chromium, driven by the playwright-core that web/ installs. CHROMIUM names another binary.
import { createRequire } from "node:module";
import { within } from "./service.mjs";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
export const AXE = require.resolve("axe-core/axe.min.js");

const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"];

/** A browser whose pages wait as long as this machine needs: playwright's own 30 s are those of a fast one. */
export async function launch() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS, timeout: within(30_000) });
  const plain = browser.newPage.bind(browser);
  browser.newPage = async (options) => {
    const page = await plain(options);
    page.setDefaultTimeout(within(30_000));
    return page;
  };
  return browser;
}
