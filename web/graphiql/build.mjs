// Bundles the page, gathers the notices of what is bundled, and puts a .br and a .gz beside every text file.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "vite";

const [dist = "dist"] = process.argv.slice(2);
const TEXTS = new Set([".css", ".html", ".js", ".svg", ".ttf", ".txt"]);
const NOTICE = /^(licen[cs]e|thirdpartynotices|notice|copying)/i;

function notices() {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
  const shipped = Object.entries(packages).filter(([folder, { dev, optional }]) => folder && !dev && !optional);
  const ofPackages = shipped.map(([folder, { version, license }]) => {
    const texts = readdirSync(folder).filter((name) => NOTICE.test(name) && statSync(join(folder, name)).isFile());
    const title = `${folder.replace(/^.*node_modules\//, "")} ${version} (${license})`;
    return [title, ...texts.map((name) => readFileSync(join(folder, name), "utf8"))].join("\n\n");
  });
  const ofFonts = readdirSync("licences").map((name) => readFileSync(join("licences", name), "utf8"));
  // Roboto's licence is also our own.
  return [...ofPackages, ...ofFonts, readFileSync("../../LICENSE", "utf8")].join(`\n\n${"=".repeat(80)}\n\n`);
}

function compress(file) {
  const text = readFileSync(file);
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 22 };
  writeFileSync(`${file}.br`, brotliCompressSync(text, { params: quality }));
  writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }));
}

await build({ logLevel: "warn", build: { outDir: dist, emptyOutDir: true } });
writeFileSync(join(dist, "LICENCES.txt"), notices());
readdirSync(dist, { recursive: true })
  .map((name) => join(dist, name))
  .filter((file) => TEXTS.has(extname(file)) && statSync(file).size > 1024)
  .forEach(compress);
