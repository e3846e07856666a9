import { resolve } from "node:path";
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  build: { outDir: resolve(import.meta.dirname, "dist"), target: "es2022", assetsInlineLimit: 0 },
});
