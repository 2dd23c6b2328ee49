"use strict";
/* What plays: the file beside the page, or a small copy that the page brings. */
const Player = (() => {
  const element = document.getElementById("media");
  const preview = document.getElementById("preview");
  const startS = preview ? Number(preview.dataset.start) : 0;
  const listeners = [];
  let positionS = startS;

  function bytesOf(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  }

  function unplayable() {
    document.getElementById("unplayable").hidden = false;
  }

  function tell(seconds) {
    positionS = seconds;
    for (const listener of listeners) listener(seconds);
  }

  /** Go to a time of the file. The page follows also where nothing can be played. */
  function seek(seconds) {
    if (element) element.currentTime = Math.max(0, seconds - startS);
    tell(seconds);
  }

  function toggle() {
    if (!element) return;
    if (element.paused) element.play().catch(unplayable);
    else element.pause();
  }

  function run() {
    if (element.seeking) return;
    tell(element.currentTime + startS);
    if (!element.paused && !element.ended) requestAnimationFrame(run);
  }

  const shown = element ?? document.getElementById("picture");
  shown.addEventListener("error", unplayable);
  if (preview) {
    const blob = new Blob([bytesOf(preview.textContent)], { type: preview.dataset.kind });
    shown.src = URL.createObjectURL(blob);
  } else if (element ? element.error : shown.complete && !shown.naturalWidth) {
    unplayable(); // before anybody listened
  }
  if (element) {
    element.addEventListener("play", run);
    element.addEventListener("seeked", run);
    element.addEventListener("timeupdate", () => { if (element.paused) run(); });
  }
  return {
    seek,
    toggle,
    isPlaying: () => Boolean(element) && !element.paused,
    position: () => positionS,
    whenMoved: (listener) => listeners.push(listener),
  };
})();
