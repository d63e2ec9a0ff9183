// The page that signs in and out. Its forms are inert until this has loaded: sent as they are, they
// would show the password to logs.
import { call, endpoint, onChange, RequestError, signIn, signOut, username } from "./session.js";

const main = document.querySelector("main");
const problem = element("#problem");
const forms = element("#forms");
const signedIn = element("#signed-in");
const next = destination();

/**
 * @param {string} selector
 * @returns {HTMLElement}
 */
function element(selector) {
  const found = document.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`The page has no ${selector}`);
  return found;
}

/** The address to go on to: of this server alone, or somebody could send people anywhere. */
function destination() {
  const given = new URLSearchParams(location.search).get("next") ?? "/";
  const address = URL.canParse(given, location.origin) ? new URL(given, location.origin) : null;
  // Not by `origin` alone, which a `blob:` address shares.
  return address?.href.startsWith(`${location.origin}/`) ? address.href : "/";
}

/** @param {unknown} error */
function show(error) {
  const isSilent = !(error instanceof RequestError) || error.status === 0;
  problem.textContent = isSilent ? (main?.dataset.silent ?? "") : error.message;
  problem.hidden = false;
  problem.focus();
}

/**
 * Do something once at a time, and show what goes wrong.
 *
 * @param {HTMLElement} within
 * @param {() => Promise<unknown>} work
 */
async function once(within, work) {
  if (within.ariaBusy === "true") return;
  within.ariaBusy = "true";
  problem.hidden = true;
  try {
    await work();
  } catch (error) {
    show(error);
  } finally {
    within.ariaBusy = null;
  }
}

/**
 * @param {HTMLFormElement} form
 * @returns {Record<string, string>}
 */
function valuesOf(form) {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
}

/** @param {HTMLFormElement} form */
async function askCode(form) {
  const { phone = "" } = valuesOf(form);
  const { handle } = await call("POST", `${endpoint}/sms-codes`, { body: { phone } });
  const second = /** @type {HTMLFormElement} */ (form.nextElementSibling);
  for (const [name, value] of Object.entries({ phone, handle })) {
    /** @type {HTMLInputElement} */ (second.elements.namedItem(name)).value = value;
  }
  second.hidden = false;
  second.querySelector("#code")?.scrollIntoView({ block: "nearest" });
  /** @type {HTMLElement | null} */ (second.querySelector("#code"))?.focus();
}

/** @param {string | null} name */
function update(name) {
  signedIn.hidden = name === null;
  forms.hidden = name !== null;
  element("#signed-in strong").textContent = name;
}

for (const form of forms.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(form, async () => {
      if (form.id === "ask-code") return askCode(form);
      const address = form.dataset.address;
      await signIn({ grant_type: form.dataset.grant ?? "", ...valuesOf(form) }, address);
      location.assign(next);
    });
  });
  for (const button of form.querySelectorAll("button")) button.disabled = false;
}
element("#sign-out").addEventListener("click", () => once(signedIn, signOut));
element("#signed-in a").setAttribute("href", next);
onChange(update);
update(username());
