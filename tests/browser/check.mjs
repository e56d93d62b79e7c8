// Opens pages in headless Chromium, in light and dark, wide and narrow, and prints as JSON what is wrong with each.
// usage: node check.mjs CHROMIUM SHOTS|- PAGE...
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const [executablePath, shots, ...pages] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
const WIDTHS = { wide: [1440, 900], phone: [390, 844] };

const inPage = async (rules) => {
  const figures = [...document.querySelectorAll("svg.picture")].map((svg) => ({
    title: svg.querySelector("title")?.textContent ?? "",
    desc: svg.querySelector("desc")?.textContent ?? "",
    named: (svg.getAttribute("aria-labelledby") ?? "").split(" ").every((id) => document.getElementById(id)?.closest("svg") === svg),
    texts: [...svg.querySelectorAll("text")].map((text) => text.textContent),
    outside: [...svg.querySelectorAll("text")].filter((text) => {
      const [box, edge] = [text.getBBox(), svg.viewBox.baseVal];
      return box.x < -1 || box.y < -1 || box.x + box.width > edge.width + 1 || box.y + box.height > edge.height + 1;
    }).map((text) => text.textContent),
  }));
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.querySelectorAll("details").forEach((one) => { if (!one.matches(".browser")) one.open = true; });
  const found = rules.length ? await axe.run({ runOnly: rules }) : { violations: [] };
  const violations = found.violations.map((one) => ({ id: one.id, nodes: one.nodes.slice(0, 3).map((node) => `${node.target}: ${node.failureSummary}`) }));
  return { figures, overflow: wide, violations, background: getComputedStyle(document.body).backgroundColor };
};

// What a click on a dot shows, and what a file is that the page gives out.
const interact = async () => {
  const dots = document.querySelector(".dots[data-t]");
  const made = { dialog: "", browsed: "", downloads: {} };
  const wait = async (ready) => { for (let n = 0; n < 100 && !ready(); n++) await new Promise((done) => setTimeout(done, 50)); };
  const browser = document.querySelector(".browser");
  if (browser) {
    browser.open = true;
    await wait(() => browser.querySelector(".proof"));
    made.browsed = browser.querySelector(".proof")?.textContent ?? "";
  }
  if (dots) {
    const box = dots.getBoundingClientRect();
    dots.dispatchEvent(new MouseEvent("click", { clientX: box.x, clientY: box.y, bubbles: true }));
    const dialog = document.getElementById("trial");
    await wait(() => dialog.open);
    made.dialog = dialog.textContent;
    dialog.close();
  }
  for (const link of document.querySelectorAll(".files a")) {
    const bytes = Uint8Array.from(atob(link.href.split(",")[1]), (letter) => letter.charCodeAt(0));
    const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    made.downloads[link.dataset.name] ??= text;
  }
  return made;
};

const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--hide-scrollbars", "--disable-gpu"] });
const results = [];
for (const file of pages) {
  for (const scheme of ["light", "dark"]) {
    for (const [name, [width, height]] of Object.entries(WIDTHS)) {
      const context = await browser.createBrowserContext();  // nothing that the page keeps reaches the next one
      const page = await context.newPage();
      const errors = [], requests = [];
      page.on("console", (line) => { if (["error", "warn"].includes(line.type())) errors.push(line.text()); });
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("request", (request) => { if (!/^(file|data|blob):/.test(request.url()) || (request.url().startsWith("file:") && request.resourceType() !== "document")) requests.push(request.url()); });
      await page.setViewport({ width, height });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      const start = performance.now();
      await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const opened = performance.now() - start;
      if (shots !== "-") await page.screenshot({ path: `${shots}/${basename(file, ".html")}-${scheme}-${name}.png`, fullPage: true });
      const isJudged = name === "wide" || file === pages[0];  // colours are the same at every width, and axe takes its time
      await page.evaluate(axe);
      const seen = await page.evaluate(inPage, isJudged ? RULES : []);
      const done = scheme === "light" && name === "wide" ? await page.evaluate(interact) : null;
      await page.click("#theme");
      const toggled = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      results.push({ file, scheme, name, opened_ms: Math.round(opened), errors, requests, toggled, interaction: done, ...seen });
      await context.close();
    }
  }
}
await browser.close();
process.stdout.write(JSON.stringify(results));
