"use strict";
/* The analysis as lines to draw, and as words. */
const Steps = (() => {
  const MODALITIES = ["text", "audio", "vision"];
  const NAMES = { text: "words", audio: "voice", vision: "face" };

  /** Three points a segment: where it begins, where it ends, and a break; times never go back. */
  function times(segments) {
    const x = [];
    let last = -Infinity;
    for (const { start_s, end_s } of segments) {
      const start = Math.max(last, start_s);
      last = Math.max(start, end_s);
      x.push(start, last, last);
    }
    return x;
  }

  /** A value for each of these points; `value` may say null. */
  function values(segments, value) {
    return segments.flatMap((segment) => [value(segment), value(segment), null]);
  }

  function clock(seconds, decimals = 1) {
    const unit = 10 ** decimals;
    const ticks = Math.round(Math.max(0, seconds) * unit);
    const minutes = Math.floor(ticks / unit / 60);
    const rest = ((ticks - minutes * 60 * unit) / unit).toFixed(decimals);
    const padded = rest.padStart(decimals ? decimals + 3 : 2, "0");
    if (minutes < 60) return `${minutes}:${padded}`;
    return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${padded}`;
  }

  function signed(value, [low, high]) {
    const text = value.toFixed(high - low > 2 ? 1 : 2);
    if (Number(text) === 0) return text.replace("-", "");
    return Number(text) > 0 ? `+${text}` : text.replace("-", "\u2212");
  }

  /** The last word of a label: negative, neutral or positive. */
  function signOf(label) {
    return label === null ? null : label.split(" ").at(-1); // null: not scored
  }

  /** The sign that the label of a score would name. */
  function signOfScore(value, [low, high]) {
    const [middle, edge] = high === 1 && low === -1 ? [0, 0.1] : [(low + high) / 2, (high - low) / 12];
    if (Math.abs(value - middle) <= edge) return "neutral";
    return value > middle ? "positive" : "negative";
  }

  /** The score from each modality alone; in older results, what it contributed. */
  function said(segment) {
    return segment.alone ?? segment.contributions;
  }

  return { MODALITIES, NAMES, clock, said, signOf, signOfScore, signed, times, values };
})();
