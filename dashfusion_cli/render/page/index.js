"use strict";
/* The table of all files: sorted by its headings, filtered by text, label and failure. */
(() => {
  const { rows, range } = JSON.parse(document.getElementById("data").textContent);
  const filters = document.getElementById("filters");
  const [text, label, failures] = ["text", "label", "failures"].map((id) => document.getElementById(id));
  const heads = [...document.querySelectorAll("th")];
  const LONG = 40; // letters; a longer path is written smaller
  const LONGEST = 56; // letters of a folder or a file
  const order = { key: "path", down: false };
  const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  for (const row of rows) {
    row.notes = row.done ? row.warnings.join("; ") : row.error;
    row.sought = `${row.path}\n${row.notes}\n${row.kind ?? ""}`.toLowerCase();
  }
  const named = [...rows].sort((a, b) => byName.compare(a.path, b.path));
  named.forEach((row, place) => { row.place = place; }); // names are compared once

  function cell(row, name, content) {
    const td = document.createElement("td");
    td.className = name;
    td.setAttribute("role", "cell"); // also where a style makes the row no row of a table
    if (content instanceof Node) td.append(content);
    else td.textContent = content ?? "";
    row.append(td);
    return td;
  }

  function nameOf(row) {
    const name = document.createElement(row.report ? "a" : "span");
    name.className = row.path.length > LONG ? "name long" : "name";
    name.dir = "ltr"; // folders from left to right, each in its own direction
    name.title = row.path;
    if (row.report) {
      name.href = row.report;
      name.setAttribute("aria-label", row.path); // whole, and without a pause at each folder
    }
    const pieces = row.path.split(/(?<=[/\\])/);
    pieces.forEach((piece, i) => {
      const [, text, mark] = piece.match(/^(.*?)([/\\]?)$/su);
      const part = document.createElement("bdi");
      part.textContent = shortened(text);
      if (i < pieces.length - 1) part.className = "folder";
      name.append(part, mark);
      if (mark) name.append(document.createElement("wbr"));
    });
    return name;
  }

  /** A very long name without its middle: its end tells files apart. */
  function shortened(text) {
    const letters = [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment);
    if (letters.length <= LONGEST) return text;
    return `${letters.slice(0, LONGEST / 2).join("")}…${letters.slice(-LONGEST / 2).join("")}`;
  }

  /** What may take several lines. */
  function told(text, start = "") {
    const span = document.createElement("span");
    span.className = "told";
    if (start) span.append(Object.assign(document.createElement("b"), { textContent: start }), " ");
    span.append(text);
    span.title = text;
    return span;
  }

  function make(row) {
    const tr = document.createElement("tr");
    tr.setAttribute("role", "row");
    cell(tr, "path", nameOf(row));
    if (!row.done) {
      tr.className = "failed";
      const rest = cell(tr, "reason", told(row.notes, "failed:"));
      rest.colSpan = heads.filter((head) => head.offsetWidth).length - 1;
      return tr;
    }
    cell(tr, "duration", row.duration ? Steps.clock(row.duration, 0) : "image");
    const score = cell(tr, "score", Steps.signed(row.score, range));
    score.classList.add(Steps.signOf(row.label));
    cell(tr, "curve", Scores.curve(row, range));
    const words = cell(tr, "label", row.label);
    if (row.interval) {
      const interval = document.createElement("span");
      interval.className = "interval";
      interval.textContent = row.interval.map((edge) => Steps.signed(edge, range)).join(" to ");
      words.append(interval);
    }
    cell(tr, "segments", row.segments);
    cell(tr, "face", row.face === undefined ? "left out" : `${Math.round(100 * row.face)}\u00a0%`);
    cell(tr, "language", row.language);
    cell(tr, "notes", told(row.notes));
    return tr;
  }

  /** Rows without a value come last, whichever way; equal ones by name. */
  function sorted(some) {
    const { key, down } = order;
    const way = down ? -1 : 1;
    const value = key === "label" ? (row) => row.score : key === "path" ? (row) => row.place : (row) => row[key];
    return some.sort((a, b) => {
      const [one, other] = [value(a), value(b)];
      if (one === undefined || other === undefined) {
        return (one === undefined) - (other === undefined) || a.place - b.place;
      }
      if (one === other) return a.place - b.place;
      return way * (one < other ? -1 : 1);
    });
  }

  const table = Table.windowed({
    box: document.getElementById("window"),
    body: document.getElementById("rows"),
    make,
  });
  const spread = Scores.spread(document.getElementById("spread"), range);

  function update() {
    const sought = text.value.trim().toLowerCase();
    const found = named.filter((row) => (!failures.checked || !row.done)
      && (!label.value || row.label === label.value) && row.sought.includes(sought));
    table.set(sorted(found));
    document.getElementById("count").textContent = found.length === rows.length
      ? `${rows.length} files` : `${found.length} of ${rows.length} files`;
    const done = found.filter((row) => row.done);
    spread(done);
    document.getElementById("spread-text").textContent = spreadInWords(done);
  }

  function spreadInWords(done) {
    if (!done.length) return "no scores";
    const scores = done.map((row) => row.score);
    const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    const middle = [...scores].sort((a, b) => a - b)[scores.length >> 1];
    const signs = ["negative", "neutral", "positive"].map((sign) => `${done.filter((row) => Steps.signOf(row.label) === sign).length} ${sign}`);
    return `${scores.length} scores: ${signs.join(", ")}; mean ${Steps.signed(mean, range)}, median ${Steps.signed(middle, range)}`;
  }

  function tellAll() {
    const done = rows.filter((row) => row.done);
    const hours = done.reduce((sum, row) => sum + row.duration, 0) / 3600;
    const length = hours >= 1 ? `${hours.toFixed(1)} hours` : `${(hours * 60).toFixed(1)} minutes`;
    document.getElementById("facts").textContent = `${done.length} analysed · ${rows.length - done.length} failed · ${length} of media`;
  }

  function sortBy(key) {
    const isSame = order.key === key;
    order.down = isSame ? !order.down : !["path", "language", "label"].includes(key);
    order.key = key;
    showOrder();
    update();
  }

  function showOrder() {
    for (const head of heads) {
      const isIt = head.classList.contains(order.key);
      if (isIt) head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  for (const head of heads) {
    head.querySelector("button")?.addEventListener("click", (event) => sortBy(event.currentTarget.dataset.key));
  }
  filters.addEventListener("input", update);
  label.addEventListener("change", update); // where a choice is no input
  filters.addEventListener("reset", () => setTimeout(update)); // once the fields are empty
  filters.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest?.("input, select")) return;
    event.preventDefault();
    text.focus();
  });
  showOrder();
  tellAll();
  update();
})();
