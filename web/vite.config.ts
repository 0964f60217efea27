import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const service = process.env.RETORT_URL ?? "http://127.0.0.1:8000";
const paths = ["/jobs", "/teachers", "/datasets", "/catalogue", "/system", "/livez", "/readyz", "/openapi.json"];

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: { target: "es2022", assetsInlineLimit: 0, sourcemap: false },
  server: { proxy: Object.fromEntries(paths.map((path) => [path, { target: service, changeOrigin: true }])) },
  test: { environment: "jsdom", setupFiles: ["src/testing/setup.ts"], css: false, testTimeout: 60_000 },
});
