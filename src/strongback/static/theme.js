"use strict";
// Applies the chosen theme before anything is drawn, hence a file of its own that blocks.
{
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // the browser keeps nothing for this site
    }
  };
  const apply = (/** @type {string | null} */ theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  root.classList.add("js");
  apply(read());
  addEventListener("storage", (event) => {
    if (event.key === "theme") apply(event.newValue);
  });
  addEventListener("click", (event) => {
    if (!(event.target instanceof Element && event.target.closest(".theme"))) return;
    const preferred = system.matches ? "dark" : "light";
    const next = (root.dataset.theme ?? preferred) === "dark" ? "light" : "dark";
    apply(next === preferred ? null : next);
    try {
      if (next === preferred) localStorage.removeItem("theme");
      else localStorage.setItem("theme", next);
    } catch {
      // The choice lasts as long as the page.
    }
  });
}
