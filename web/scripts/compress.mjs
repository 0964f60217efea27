// A compressed copy beside every text file of the build, so that the service only has to send it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, gzipSync } from "node:zlib";

const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");
for (const name of readdirSync(dist, { recursive: true })) {
  if (!/\.(js|css|html|svg)$/.test(name)) continue;
  writeFileSync(`${join(dist, name)}.gz`, gzipSync(readFileSync(join(dist, name)), { level: constants.Z_BEST_COMPRESSION }));
}
