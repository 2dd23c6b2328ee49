"use strict";
/* A table of very many rows: only those in sight are made, above and below them stands a space. */
const Table = (() => {
  const BEYOND = 12; // rows made above and below those in sight

  function space(height) {
    const tr = document.createElement("tr");
    tr.className = "space";
    tr.setAttribute("aria-hidden", "true");
    const td = document.createElement("td");
    td.style.height = `${height}px`;
    tr.append(td);
    return tr;
  }

  /** Show rows in `body`, inside the scrolling `box`; `make` makes the tr of one of them. */
  function windowed({ box, body, make }) {
    let rows = [];
    let shown = [0, 0];
    let isPrinting = false;
    let height = 0; // of a row in pixels, as the style says

    function inSight() {
      if (isPrinting) return [0, rows.length];
      const first = Math.floor(box.scrollTop / height) - BEYOND;
      const count = Math.ceil(box.clientHeight / height) + 2 * BEYOND;
      const begin = Math.max(0, Math.min(first, rows.length - count));
      return [begin, Math.min(rows.length, begin + count)];
    }

    function draw() {
      height = parseFloat(getComputedStyle(box).getPropertyValue("--row"));
      shown = inSight();
      const [begin, end] = shown;
      const made = rows.slice(begin, end).map((row, i) => {
        const tr = make(row);
        tr.setAttribute("aria-rowindex", begin + i + 2);
        return tr;
      });
      const focused = document.activeElement?.closest?.("#rows a")?.getAttribute("href");
      body.replaceChildren(space(begin * height), ...made, space((rows.length - end) * height));
      if (focused) made.map((tr) => tr.querySelector("a")).find((a) => a?.getAttribute("href") === focused)?.focus({ preventScroll: true });
    }

    box.addEventListener("scroll", () => {
      const [begin, end] = inSight();
      if (begin < shown[0] || end > shown[1] || Math.abs(begin - shown[0]) >= BEYOND / 2) draw();
    }, { passive: true });
    new ResizeObserver(draw).observe(box);
    addEventListener("beforeprint", () => { isPrinting = true; draw(); });
    addEventListener("afterprint", () => { isPrinting = false; draw(); });

    return {
      set(all) {
        rows = all;
        box.querySelector("table").setAttribute("aria-rowcount", all.length + 1);
        box.scrollTop = 0;
        draw();
      },
    };
  }

  return { windowed };
})();
