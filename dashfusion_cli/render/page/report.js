"use strict";
/* Joins curve, transcript and player: each moves the others. */
(() => {
  const analysis = JSON.parse(document.getElementById("analysis").textContent);
  const { segments, model } = analysis;
  const lines = [...document.querySelectorAll("li.sentence")];
  const readout = document.getElementById("readout");
  const follow = document.getElementById("follow");
  if (!readout) return; // a picture: nothing plays
  let current = -1;
  let word = null;

  /** The last segment that has begun; -1 before the first. */
  function begun(seconds) {
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (segments[middle].start_s <= seconds + 0.01) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  function segmentAt(seconds) {
    const i = begun(seconds);
    return i >= 0 && seconds < segments[i].end_s ? i : -1;
  }

  function say(i, seconds) {
    readout.replaceChildren();
    const bold = document.createElement("b");
    bold.textContent = Steps.clock(seconds);
    readout.append(bold, " · ");
    if (i < 0) return readout.append("nothing scored here");
    const { score, label, interval } = segments[i];
    const said = Steps.said(segments[i]);
    const number = (value) => Steps.signed(value, model.label_range);
    const strong = document.createElement("b");
    strong.textContent = score === null ? "not scored" : `${number(score)} ${label}`;
    readout.append(strong);
    if (interval) readout.append(` (${number(interval[0])} to ${number(interval[1])})`);
    const parts = Steps.MODALITIES.map((m) => `${Steps.NAMES[m]} ${said[m] === null ? "–" : number(said[m])}`);
    readout.append(` · ${parts.join(" · ")}`);
  }

  function show(seconds) {
    Charts.move(seconds);
    const i = segmentAt(seconds);
    say(i, seconds);
    if (i !== current) {
      lines[current]?.removeAttribute("aria-current");
      lines[i]?.setAttribute("aria-current", "true");
      current = i;
      if (i >= 0 && follow.checked && Player.isPlaying()) bringIntoView(lines[i]);
    }
    markWord(i, seconds);
  }

  function markWord(i, seconds) {
    let now = null;
    for (const span of lines[i]?.querySelectorAll("[data-t]") ?? []) {
      if (Number(span.dataset.t) <= seconds + 0.01) now = span;
      else break;
    }
    if (now === word) return;
    word?.classList.remove("now");
    now?.classList.add("now");
    word = now;
  }

  function bringIntoView(line) {
    const { top, bottom } = line.getBoundingClientRect();
    if (top >= 80 && bottom <= innerHeight - 40) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    line.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  }

  function goTo(i) {
    const line = lines[Math.min(lines.length - 1, Math.max(0, i))];
    Player.seek(segments[Number(line.dataset.sentence)].start_s);
    return line;
  }

  const charts = Charts.draw(analysis, {
    seek: Player.seek,
    point: (seconds) => {
      const at = seconds ?? Player.position();
      say(segmentAt(at), at);
    },
    zoomed: (isZoomed) => { document.getElementById("zoom-out").hidden = !isZoomed; },
  });
  document.getElementById("curve").plots = charts.plots;
  document.getElementById("zoom-out").addEventListener("click", charts.showAll);
  Player.whenMoved(show);
  show(Player.position());

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const timed = event.target.closest("[data-t]");
    if (timed) return Player.seek(Number(timed.dataset.t));
    const seeking = event.target.closest("[data-seek]");
    if (seeking) return Player.seek(Number(seeking.dataset.seek));
    const sentence = event.target.closest("button[data-sentence], .words, .nobody");
    if (!sentence || String(getSelection()).trim()) return;
    const line = goTo(Number(sentence.closest("[data-sentence]").dataset.sentence));
    if (sentence.classList.contains("moment")) bringIntoView(line);
  });

  const keys = {
    " ": () => Player.toggle(),
    ArrowLeft: () => Player.seek(Math.max(0, Player.position() - 5)),
    ArrowRight: () => Player.seek(Math.min(analysis.media.duration_s, Player.position() + 5)),
    j: () => step(1),
    k: () => step(-1),
  };

  function step(by) {
    const i = begun(Player.position());
    const line = goTo(i + by);
    line.focus({ preventScroll: true });
    bringIntoView(line);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = keys[event.key];
    const inside = event.target instanceof Element ? event.target : document.body;
    const takesKeys = inside.closest("input, a, select, textarea, summary");
    const isPressed = event.key === " " && inside.closest("button");
    if (!action || takesKeys || isPressed) return;
    event.preventDefault();
    action();
  }, true);
})();
