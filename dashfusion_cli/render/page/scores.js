"use strict";
/* Scores as pictures: a small curve for a row, and how all of them are spread. */
const Scores = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const [WIDTH, HEIGHT] = [150, 32];
  const BARS = 24;
  const PAPER = 660; // pixels across a printed page
  const SIGNS = ["negative", "neutral", "positive"];

  function element(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  /** Steps up and down from the line of zero, in the colours of their signs. */
  function curve({ curve: steps, duration }, [low, high]) {
    const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const x = (seconds) => (WIDTH * seconds) / Math.max(duration, steps.at(-1)?.[1] ?? 0, 1e-6);
    const y = (score) => 1 + ((HEIGHT - 2) * (high - Math.min(high, Math.max(low, score)))) / (high - low);
    const paths = { negative: "", neutral: "", positive: "" };
    for (const [start, end, score, side] of steps) {
      const width = Math.max(1, x(end) - x(start)).toFixed(1);
      const tall = Math.abs(y(score) - y(0)) < 1 ? Math.sign(y(score) - y(0)) || -1 : y(score) - y(0);
      paths[SIGNS[side + 1]] += `M${x(start).toFixed(1)} ${y(0).toFixed(1)}h${width}v${tall.toFixed(1)}h-${width}z`;
    }
    for (const [sign, d] of Object.entries(paths)) if (d) svg.append(element("path", { class: sign, d }));
    svg.append(element("path", { class: "zero", d: `M0 ${y(0)}H${WIDTH}` }));
    return svg;
  }

  /** How many scores fall in each of equal parts of the scale. */
  function counted(scores, [low, high]) {
    const counts = Array(BARS).fill(0);
    for (const score of scores) {
      const place = Math.floor((BARS * (score - low)) / (high - low));
      counts[Math.min(BARS - 1, Math.max(0, place))] += 1;
    }
    return counts;
  }

  /** Draw the spread; returns what draws it anew for other rows. A bar's neutral part is its lowest. */
  function spread(box, range) {
    const [low, high] = range;
    const each = (high - low) / BARS;
    const middles = Array.from({ length: BARS }, (_, i) => low + each * (i + 0.5));
    const colors = {};
    const read = () => {
      for (const name of [...SIGNS, "soft", "line"]) colors[name] = Theme.color(name);
    };
    read();
    const bars = (name) => ({
      label: name, width: 0, fill: () => colors[name], stroke: () => colors[name],
      points: { show: false }, paths: uPlot.paths.bars({ size: [0.9, 100], gap: 1 }),
    });
    const axis = { stroke: () => colors.soft, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const plot = new uPlot({
      width: 300, height: 130, padding: [8, 8, 0, 0],
      legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false, range: [low, high] }, y: { range: (_, min, max) => [0, Math.max(1, max)] } },
      axes: [
        {
          ...axis, size: 26, grid: { show: false },
          splits: high - low > 2 ? [-3, -2, -1, 0, 1, 2, 3] : [-1, -0.5, 0, 0.5, 1],
          values: (_, splits) => splits.map((v) => (v > 0 ? `+${v}` : `${v}`.replace("-", "\u2212"))),
        },
        {
          ...axis, size: 40, grid: { stroke: () => colors.line, width: 1 }, space: 26,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000],
        },
      ],
      series: [{}, bars("negative"), bars("positive"), bars("neutral")],
    }, [middles, ...SIGNS.map(() => middles.map(() => 0))], box);
    new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: 130 })).observe(box);
    Theme.whenChanged(() => { read(); plot.redraw(); });
    addEventListener("beforeprint", () => plot.setSize({ width: Math.min(PAPER, box.clientWidth), height: 130 }));
    addEventListener("afterprint", () => plot.setSize({ width: box.clientWidth, height: 130 }));
    return (rows) => {
      const count = (sign) => counted(rows.filter((row) => Steps.signOf(row.label) === sign).map((row) => row.score), range);
      const [negative, neutral, positive] = SIGNS.map(count);
      const upon = (some) => some.map((n, i) => (n ? n + neutral[i] : null));
      plot.setData([middles, upon(negative), upon(positive), neutral.map((n) => n || null)]);
    };
  }

  return { curve, spread };
})();
