// Loads a script of k6: its imports of k6's modules become those of modules/, those of its
// own files are followed. The copies lie in a folder that the caller removes.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));

/** Writes the script and what it imports into a folder; returns the copy's URL. */
export function copyScript(file, folder, known = new Map()) {
  const real = fs.realpathSync(file);
  if (known.has(real)) {
    return known.get(real);
  }
  const copy = path.join(folder, `${known.size}-${path.basename(real)}.mjs`);
  const url = pathToFileURL(copy).href;
  known.set(real, url);
  const text = fs.readFileSync(real, "utf8").replace(
    /^(\s*(?:import|export)\b[^"';]*?\bfrom\s*|\s*import\s*)(["'])([^"']+)\2/gm,
    (all, before, quote, name) => {
      if (name === "k6" || name.startsWith("k6/")) {
        const module = path.join(here, "modules", `${name.split("/").pop()}.mjs`);
        if (!fs.existsSync(module)) {
          throw new Error(`${file}: the runner has no module "${name}"`);
        }
        return `${before}${quote}${pathToFileURL(module).href}${quote}`;
      }
      if (name.startsWith(".")) {
        const other = copyScript(path.join(path.dirname(real), name), folder, known);
        return `${before}${quote}${other}${quote}`;
      }
      throw new Error(`${file}: k6 cannot import "${name}"`);
    });
  fs.writeFileSync(copy, text);
  return url;
}

/** "1m30s", "500ms" or a number of milliseconds. */
export function milliseconds(text) {
  if (typeof text === "number") {
    return text;
  }
  const units = { ms: 1, s: 1000, m: 60000, h: 3600000 };
  let sum = 0;
  const rest = String(text).replace(/([\d.]+)(ms|s|m|h)/g, (all, n, unit) => {
    sum += Number(n) * units[unit];
    return "";
  });
  if (rest !== "" || text === "") {
    throw new Error(`"${text}" is no duration such as 1m30s`);
  }
  return sum;
}
