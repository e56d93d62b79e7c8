"use strict";
// Light or dark: the system's choice until somebody presses the button, then theirs.
const root = document.documentElement, button = document.getElementById("theme");
const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const named = () => { button.textContent = isDark() ? "light" : "dark"; button.setAttribute("aria-label", `Switch to ${button.textContent} colours`); };
try { if (localStorage.theme) root.dataset.theme = localStorage.theme; } catch { /* a browser may refuse to keep it */ }
button.hidden = false;
named();
button.onclick = () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try { localStorage.theme = root.dataset.theme; } catch { /* see above */ }
  named();
};
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.browser)").forEach((one) => { one.open = true; }));

// Files: a link gives the compressed file by itself; this gives the file as it is.
const unpacked = (link) => {
  const bytes = Uint8Array.from(atob(link.href.split(",")[1]), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};
const canUnpack = "DecompressionStream" in window;
document.querySelectorAll(".files a").forEach((link) => {
  if (!canUnpack) return;
  link.onclick = async (event) => {
    event.preventDefault();
    const made = document.createElement("a");
    made.href = URL.createObjectURL(new Blob([await unpacked(link)]));
    made.download = link.dataset.name;
    made.click();
    setTimeout(() => URL.revokeObjectURL(made.href), 10000);
  };
});

// Trials: read from the trials.csv that the page holds, when one is asked for.
const rowsOf = (text) => {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ",") rows.push([]);
  }
  const [head, ...lines] = rows.filter((row) => row.length > 1);
  return lines.map((line) => Object.fromEntries(head.map((name, place) => [name, line[place]])));
};
const HEAD = "run_id setup block position attempt profile kind measure duration_s started_at status reason proof path_state raw tool".split(" ");
const nameOf = (row) => `${row.block}.${row.position}${(row.attempt || "1") === "1" ? "" : `.${row.attempt}`}`;
const known = new WeakMap();
const trialsOf = (article) => {
  const read = async () => {
    const [trials, counters] = ["trials.csv", "counters.json"].map((name) => article.querySelector(`.files [data-name="${name}"]`));
    const labels = JSON.parse(article.dataset.labels);
    const rows = rowsOf(await unpacked(trials));
    const factors = Object.keys(rows[0] || {}).filter((name) => !HEAD.includes(name) && !(name in labels));
    const arm = (row) => [row.profile, row.measure || row.tool, ...factors.map((name) => row[name])].filter(Boolean).join(" ");
    return { labels, rows, factors, arm, counters: counters ? JSON.parse(await unpacked(counters)) : {} };
  };
  if (!known.has(article)) known.set(article, read());
  return known.get(article);
};
const element = (tag, text = "", ...inside) => {
  const made = document.createElement(tag);
  made.append(text, ...inside);
  return made;
};
const written = (text) => (text !== "" && isFinite(text) ? Number(text).toLocaleString("en", { maximumSignificantDigits: 7 }) : text);
const tableOf = (caption, rows) => {
  const made = element("table", "", element("thead", "", element("tr", "", ...caption.map((text) => element("th", text)))));
  made.append(element("tbody", "", ...rows.map(([first, ...others]) => element("tr", "", element("th", first), ...others.map((text) => element("td", text))))));
  return made;
};
const proofOf = (read, row) => {
  const made = element("section", "", element("h3", `${read.arm(row)}: block ${row.block}, position ${row.position}`));
  made.className = "proof";
  const said = [row.proof && `Counters: ${row.proof}.`, row.path_state && `Full-size packets: ${row.path_state}.`, row.reason && `Reason: ${row.reason}.`];
  const words = element("p", `${row.status}. ${said.filter(Boolean).join(" ")}`);
  words.className = "said";
  const figures = Object.entries(read.labels).filter(([name]) => row[name]).map(([name, { title, unit }]) => [title, written(row[name]), unit === "1" ? "" : unit]);
  const tables = element("div", "", tableOf(["figure", "value", "unit"], figures));
  tables.className = "tables";
  const risen = read.counters[nameOf(row)] || [];
  if (risen.length) tables.append(tableOf(["counter", "of", "rose by"], risen.map(([whose, what, by]) => [what, whose, written(String(by))])));
  made.append(words, element("p", `Started ${row.started_at || ""}, set-up ${row.setup || "1"}, attempt ${row.attempt || "1"}. Record: ${row.raw || ""}`), tables);
  return made;
};
document.querySelectorAll(".browser").forEach((browser) => browser.addEventListener("toggle", async () => {
  if (!browser.open || !canUnpack || browser.querySelector("select")) return;
  const read = await trialsOf(browser.closest("article"));
  const arms = Map.groupBy ? Map.groupBy(read.rows, read.arm) : read.rows.reduce((made, row) => made.set(read.arm(row), [...(made.get(read.arm(row)) || []), row]), new Map());
  const [arm, trial, shown] = [element("select"), element("select"), element("div")];
  [...arms.keys()].forEach((name) => arm.append(new Option(name)));
  const show = () => shown.replaceChildren(proofOf(read, arms.get(arm.value)[trial.selectedIndex]));
  arm.onchange = () => {
    trial.replaceChildren(...arms.get(arm.value).map((row) => new Option(`block ${row.block}, position ${row.position}${row.status === "ok" ? "" : `, ${row.status}`}`)));
    show();
  };
  trial.onchange = show;
  browser.querySelector(".wait").replaceWith(element("label", "profile and cell", arm), element("label", "trial", trial), shown);
  arm.onchange();
}));
const dialog = document.getElementById("trial");
document.querySelectorAll(".dots[data-t]").forEach((dots) => dots.addEventListener("click", async (event) => {
  const article = dots.closest("article");
  if (!canUnpack || !article.querySelector(".browser")) return;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(dots.getScreenCTM().inverse());
  const places = [...dots.getAttribute("d").matchAll(/M([\d.-]+) ([\d.-]+)/g)].map(([, x, y]) => Math.hypot(x - at.x, y - at.y));
  const names = dots.dataset.t.split(" ")[places.indexOf(Math.min(...places))].split("+");
  const read = await trialsOf(article);
  dialog.querySelector(".body").replaceChildren(...names.map((name) => read.rows.find((row) => nameOf(row) === name)).filter(Boolean).map((row) => proofOf(read, row)));
  dialog.showModal();
}));
