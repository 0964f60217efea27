// The page that the export `onnx-web` writes a student into: program and runtime in one file, from their packages.
// It lies beside dist/, because workers read it and the dashboard does not serve it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(join(web, "package.json"));
const runtime = dirname(require.resolve("onnxruntime-web/wasm"));
const { version } = JSON.parse(readFileSync(join(runtime, "..", "package.json"), "utf8"));

const [{ output }] = [
  await build({
    configFile: false,
    root: web,
    publicDir: false,
    logLevel: "warn",
    // The runtime is written into the page beside the program: that the program has it too would double it.
    build: { target: "es2022", write: false, minify: true, modulePreload: false, assetsInlineLimit: 0, rollupOptions: { input: join(web, "src/page/main.ts") } },
  }),
].flat();
const chunks = output.filter(({ type }) => type === "chunk");
if (chunks.length !== 1) throw new Error("The page's program must be one file.");
const program = chunks[0].code;
if (/<\/script/i.test(program)) throw new Error("The page's program would end its own element.");

const wasm = gzipSync(readFileSync(join(runtime, "ort-wasm-simd-threaded.wasm")), { level: 9 }).toString("base64");
// Functions, because a string would have `$` in it for patterns.
const page = readFileSync(join(web, "src/page/page.html"), "utf8")
  .replace("<!--RUNTIME-->", () => wasm)
  .replace("<!--PROGRAM-->", () => program)
  .replace("<html ", () => `<html data-runtime="onnxruntime-web ${version}" `);
mkdirSync(join(web, "dist-page"), { recursive: true });
writeFileSync(join(web, "dist-page", "student.html"), page);
console.log(`${String(page.length).padStart(8)}  student.html, the page of exports`);
