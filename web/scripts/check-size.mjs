// First load: everything that /ui/ needs before it shows something, gzipped. Fails above the budget.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGET = 250_000;
const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");
const html = readFileSync(join(dist, "index.html"), "utf8");
const linked = [...html.matchAll(/(?:src|href)="\/ui\/([^"]+)"/g)].map((match) => match[1]);
// Latin text needs these two; other alphabets' files are fetched only where their letters occur.
const fonts = readdirSync(join(dist, "assets")).filter((name) => /latin-(wght|400)-normal.*\.woff2$/.test(name) && !name.includes("-ext-"));
const files = ["index.html", ...linked, ...fonts.map((name) => `assets/${name}`)];
const sizes = files.map((name) => {
  const content = readFileSync(join(dist, name));
  return [name, name.endsWith(".woff2") ? content.length : gzipSync(content).length];
});
const total = sizes.reduce((sum, [, size]) => sum + size, 0);
for (const [name, size] of sizes) console.log(`${String(size).padStart(8)}  ${name}`);
console.log(`${String(total).padStart(8)}  first load, gzip; the budget is ${BUDGET}`);
if (fonts.length < 2 || linked.length < 3) throw new Error("The build does not look as this script expects: it cannot vouch for the size.");
if (total > BUDGET) process.exit(1);
