"use strict";
/* Light, dark or as the system says; remembered where the browser lets a page remember. */
const Theme = (() => {
  const root = document.documentElement;
  const listeners = [];
  const probe = document.createElement("i");

  function choose(theme) {
    root.dataset.theme = theme;
    changed();
  }

  function changed() {
    for (const listener of listeners) listener();
  }

  /** The colour that a custom property has just now. */
  function color(name, alpha = 1) {
    if (!probe.isConnected) {
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = `color-mix(in srgb, var(--${name}) ${100 * alpha}%, transparent)`;
    return getComputedStyle(probe).color;
  }

  function remembered() {
    try {
      return localStorage.getItem("dashfusion-theme");
    } catch {
      return null;
    }
  }

  for (const input of document.querySelectorAll("input[name=theme]")) {
    input.checked = input.value === (remembered() ?? "auto");
    if (input.checked) root.dataset.theme = input.value;
    input.addEventListener("change", () => {
      choose(input.value);
      try {
        localStorage.setItem("dashfusion-theme", input.value);
      } catch {
        // a page on a disk may not remember
      }
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  addEventListener("beforeprint", () => {
    root.dataset.printing = "";
    changed();
  });
  addEventListener("afterprint", () => {
    delete root.dataset.printing;
    changed();
  });
  return { color, whenChanged: (listener) => listeners.push(listener) };
})();
