import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Relative addresses, so that the pages can be served under any path; workers as modules, as the page's policy
// (worker-src 'self') wants files and no blobs.
export default defineConfig({
  base: "./",
  plugins: [react()],
  worker: { format: "es" },
  build: { target: "es2022", chunkSizeWarningLimit: 4000 },
});
