"use strict";
/* The table of all files: sorted by its headings, filtered by text, label and failure. */
(() => {
  const { rows, range } = JSON.parse(document.getElementById("data").textContent);
  const filters = document.getElementById("filters");
  const [text, label, failures] = ["text", "label", "failures"].map((id) => document.getElementById(id));
  const heads = [...document.querySelectorAll("th")];
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
    if (content instanceof Node) td.append(content);
    else td.textContent = content ?? "";
    row.append(td);
    return td;
  }

  function nameOf(row) {
    const name = document.createElement(row.report ? "a" : "span");
    name.textContent = row.path;
    name.dir = "auto";
    name.title = row.path;
    if (row.report) name.href = row.report;
    return name;
  }

  function levelOf(score) {
    const reach = score > 0 ? range[1] : -range[0];
    return Math.sign(score) * Math.round(6 * Math.min(1, Math.abs(score) / reach));
  }

  function make(row) {
    const tr = document.createElement("tr");
    cell(tr, "path", nameOf(row));
    if (!row.done) {
      tr.className = "failed";
      const reason = document.createElement("span");
      reason.textContent = `failed: ${row.notes}`;
      const rest = cell(tr, "reason", reason);
      rest.title = row.notes;
      rest.colSpan = heads.filter((head) => head.offsetWidth).length - 1;
      return tr;
    }
    cell(tr, "duration", row.duration ? Steps.clock(row.duration, 0) : "image");
    const score = cell(tr, "score", Steps.signed(row.score, range));
    score.dataset.level = levelOf(row.score) || 0;
    cell(tr, "curve", Scores.curve(row, range));
    const words = cell(tr, "label", row.label);
    if (row.interval) {
      const interval = document.createElement("span");
      interval.className = "interval";
      interval.textContent = row.interval.map((edge) => Steps.signed(edge, range)).join(" to ");
      words.append(interval);
    }
    cell(tr, "segments", row.segments);
    cell(tr, "face", `${Math.round(100 * row.face)} %`);
    cell(tr, "language", row.language);
    cell(tr, "notes", row.notes).title = row.notes;
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
    const scores = found.filter((row) => row.done).map((row) => row.score);
    spread(scores);
    document.getElementById("spread-text").textContent = spreadInWords(scores);
  }

  function spreadInWords(scores) {
    if (!scores.length) return "no scores";
    const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    const middle = [...scores].sort((a, b) => a - b)[scores.length >> 1];
    const below = scores.filter((score) => Number(Steps.signed(score, range).replace("\u2212", "-")) < 0).length;
    const above = scores.filter((score) => Number(Steps.signed(score, range)) > 0).length;
    return `${scores.length} scores: ${below} below 0, ${above} above 0; mean ${Steps.signed(mean, range)}, median ${Steps.signed(middle, range)}`;
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
