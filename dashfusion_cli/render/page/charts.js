"use strict";
/* The curve of the score with its interval, and a lane for what each modality says alone. */
const Charts = (() => {
  const AXIS = 46; // pixels left of every chart, so that all begin at the same place
  const CURVE = 190;
  const LANE = 42;
  const LAST_LANE = 74; // with the axis of time
  const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];
  const SIGNS = ["negative", "neutral", "positive"];
  const FONT = "12px system-ui, sans-serif";

  let plots = [];
  let colors = {};

  function readColors() {
    for (const name of [...SIGNS, "ink", "soft", "line"]) {
      colors[name] = Theme.color(name);
    }
    colors.band = Theme.color("neutral", 0.28);
    colors.link = Theme.color("neutral", 0.6);
    colors.above = Theme.color("positive", 0.75);
    colors.below = Theme.color("negative", 0.75);
    colors.between = Theme.color("neutral", 0.75);
  }

  function timeAxis(show) {
    return {
      show,
      stroke: () => colors.soft,
      grid: { stroke: () => colors.line, width: 1 },
      ticks: { stroke: () => colors.line, width: 1 },
      incrs: STEPS_S,
      space: 60,
      size: 32,
      font: FONT,
      values: (_, splits) => splits.map((s) => Steps.clock(s, 0)),
    };
  }

  function common(height, range, lengthS, axis) {
    return {
      width: 300,
      height,
      padding: [6, 20, 2, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, dist: 8 },
        sync: { key: "report", scales: ["x", null] },
      },
      scales: { x: { time: false, range: (_, min, max) => within(min, max, lengthS) }, y: { range } },
      axes: axis,
    };
  }

  /** The whole length at first; a zoomed part never leaves it. */
  function within(min, max, lengthS) {
    if (min === null || min === max) return [0, lengthS];
    return [Math.max(0, min), Math.min(lengthS, max)];
  }

  function curve(box, analysis, lengthS) {
    const { segments, model: { label_range: [low, high] } } = analysis;
    const pad = (high - low) * 0.04;
    const scoreAxis = {
      stroke: () => colors.soft,
      grid: { stroke: () => colors.line, width: 1 },
      ticks: { show: false },
      size: AXIS,
      font: FONT,
      splits: high - low > 2 ? [-3, -2, -1, 0, 1, 2, 3] : [-1, -0.5, 0, 0.5, 1],
      values: (_, splits) => splits.map((v) => (v > 0 ? `+${v}` : `${v}`.replace("-", "\u2212"))),
    };
    const edge = (i) => Steps.values(segments, (s) => (s.interval ? s.interval[i] : null));
    const scores = Steps.values(segments, (s) => s.score);
    const those = (sign) => Steps.values(segments, (s) => (Steps.signOf(s.label) === sign ? s.score : null));
    const step = (sign) => ({
      label: sign, stroke: () => colors[sign], width: segments.length > 60 ? 3 : 4, cap: "butt", points: { show: false },
    });
    const none = { stroke: "transparent", points: { show: false } };
    const options = {
      ...common(CURVE, [low - pad, high + pad], lengthS, [timeAxis(false), scoreAxis]),
      series: [
        {},
        { ...none, label: "upper" },
        { ...none, label: "lower" },
        { label: "link", stroke: () => colors.link, width: 1, spanGaps: true, points: { show: false } },
        ...SIGNS.map(step),
      ],
      bands: [{ series: [1, 2], fill: () => colors.band }],
      hooks: { drawAxes: [(plot) => zeroLine(plot)] },
    };
    const data = [Steps.times(segments), edge(1), edge(0), scores, ...SIGNS.map(those)];
    return new uPlot(options, data, box);
  }

  function lane(box, analysis, modality, reach, lengthS, isLast) {
    const { segments, model } = analysis;
    const value = (s) => Steps.said(s)[modality];
    const sign = (v) => Steps.signOfScore(v, model.label_range);
    const side = (name) => Steps.values(segments, (s) => (value(s) !== null && sign(value(s)) === name ? value(s) : null));
    const name = {
      stroke: () => colors.ink,
      grid: { show: false },
      ticks: { show: false },
      size: AXIS,
      font: FONT,
      splits: [0],
      values: () => [Steps.NAMES[modality]],
    };
    const area = { width: 0, points: { show: false }, fillTo: 0, stroke: "transparent" };
    const options = {
      ...common(isLast ? LAST_LANE : LANE, [-reach, reach], lengthS, [timeAxis(isLast), name]),
      series: [
        {},
        { ...area, label: "negative", fill: () => colors.below },
        { ...area, label: "neutral", fill: () => colors.between },
        { ...area, label: "positive", fill: () => colors.above },
      ],
      hooks: { drawAxes: [(plot) => zeroLine(plot), (plot) => hatch(plot, segments, modality)] },
    };
    const data = [Steps.times(segments), ...SIGNS.map(side)];
    return new uPlot(options, data, box);
  }

  function zeroLine({ ctx, bbox, valToPos }) {
    const y = Math.round(valToPos(0, "y", true)) + 0.5;
    ctx.save();
    ctx.strokeStyle = colors.neutral;
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }

  /** Lines over where a modality was absent. */
  function hatch(plot, segments, modality) {
    const { ctx, bbox } = plot;
    const step = 6 * devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colors.link;
    ctx.lineWidth = devicePixelRatio;
    for (const segment of segments) {
      if (Steps.said(segment)[modality] !== null) continue;
      const left = Math.max(bbox.left, plot.valToPos(segment.start_s, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(segment.end_s, "x", true));
      if (right <= left) continue;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, right - left, bbox.height);
      ctx.clip();
      ctx.beginPath();
      const first = Math.floor((left - bbox.height) / step) * step;
      for (let x = first; x < right; x += step) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
    ctx.restore();
  }

  /** Draw all; `seek` hears of a click, `point` where the mouse is (null: nowhere). */
  function draw(analysis, { seek, point, zoomed }) {
    readColors();
    const { segments, media } = analysis;
    const lengthS = Math.max(media.duration_s, segments.at(-1)?.end_s ?? 0, 0.1);
    const all = segments.flatMap((s) => Object.values(Steps.said(s))).map((v) => Math.abs(v ?? 0));
    const reach = Math.max(0.3, ...all) * 1.05;
    const lanes = document.getElementById("lanes");
    plots = [curve(document.getElementById("curve"), analysis, lengthS)];
    for (const modality of Steps.MODALITIES) {
      plots.push(lane(lanes, analysis, modality, reach, lengthS, modality === "vision"));
    }
    for (const plot of plots) {
      plot.over.addEventListener("click", (event) => seek(plot.posToVal(event.offsetX, "x")));
      plot.over.addEventListener("mousemove", () => point(plot.posToVal(plot.cursor.left, "x")));
      plot.over.addEventListener("mouseleave", () => point(null));
      const head = document.createElement("div");
      head.className = "playhead";
      plot.over.append(head);
    }
    plots[0].hooks.setScale = [(plot) => {
      const { min, max } = plot.scales.x;
      zoomed(max - min < lengthS * 0.999);
      move(position);
    }];
    const fit = () => {
      const width = document.getElementById("curve").clientWidth;
      for (const plot of plots) plot.setSize({ width, height: plot.height });
      move(position);
    };
    new ResizeObserver(fit).observe(document.getElementById("curve"));
    Theme.whenChanged(() => {
      readColors();
      for (const plot of plots) plot.redraw(false);
    });
    const showAll = () => plots.forEach((plot) => plot.setScale("x", { min: 0, max: lengthS }));
    showAll();
    return { plots, showAll };
  }

  let position = 0;
  /** Put the line of the playing position. */
  function move(seconds) {
    position = seconds;
    for (const plot of plots) {
      const head = plot.over.querySelector(".playhead");
      const { min, max } = plot.scales.x;
      head.toggleAttribute("data-outside", seconds < min || seconds > max);
      head.style.transform = `translateX(${plot.valToPos(seconds, "x")}px)`;
    }
  }

  return { draw, move };
})();
