// Adds a button to each code block within an element with `data-copy`, its label, and
// `data-copied`, which is shown and announced once the code is in the clipboard.
const SHOWN = 3000;

/**
 * @param {HTMLElement} block
 * @param {DOMStringMap} words
 */
function equip(block, words) {
  const box = document.createElement("div");
  const controls = document.createElement("div");
  const status = document.createElement("span");
  const button = document.createElement("button");
  box.className = "copy";
  controls.className = "no-print";
  controls.lang = document.documentElement.lang; // the text may be in another one
  status.role = "status";
  button.type = "button";
  button.textContent = words.copy ?? "";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.textContent);
    } catch {
      getSelection()?.selectAllChildren(block); // the browser forbids it: for the keys, then
      return;
    }
    status.textContent = words.copied ?? "";
    setTimeout(() => {
      status.textContent = "";
    }, SHOWN);
  });
  controls.append(status, button);
  block.replaceWith(box);
  box.append(block, controls);
}

// Without HTTPS there is no clipboard.
if (navigator.clipboard) {
  for (const text of document.querySelectorAll("[data-copy]")) {
    if (!(text instanceof HTMLElement)) continue;
    for (const block of text.querySelectorAll("pre")) equip(block, text.dataset);
  }
}
