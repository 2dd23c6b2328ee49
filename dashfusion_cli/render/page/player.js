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

  /** Say that nothing can be played, or the sound alone (`why` is "pictures"). */
  function unplayable(why) {
    const notice = document.getElementById("unplayable");
    for (const part of notice.querySelectorAll("[data-why]")) part.hidden = part.dataset.why !== why;
    notice.hidden = false;
  }

  /** A browser that does not know the codec of the pictures plays the sound and reports no error. */
  function lookForPictures() {
    if (element.error || element.tagName !== "VIDEO") return;
    if (element.videoWidth) document.getElementById("unplayable").hidden = true;
    else unplayable("pictures");
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
    if (element.paused) element.play().catch((error) => { if (error.name === "NotSupportedError") unplayable("all"); });
    else element.pause();
  }

  function run() {
    if (element.seeking) return;
    tell(element.currentTime + startS);
    if (!element.paused && !element.ended) requestAnimationFrame(run);
  }

  const shown = element ?? document.getElementById("picture");
  shown.addEventListener("error", () => unplayable("all"));
  if (preview) {
    const blob = new Blob([bytesOf(preview.textContent)], { type: preview.dataset.kind });
    shown.src = URL.createObjectURL(blob);
  } else if (element ? element.error : shown.complete && !shown.naturalWidth) {
    unplayable("all"); // before anybody listened
  }
  if (element) {
    element.addEventListener("loadedmetadata", lookForPictures);
    element.addEventListener("resize", lookForPictures);
    if (element.readyState) lookForPictures(); // before anybody listened
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
