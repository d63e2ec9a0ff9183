/**
 * Starts Swagger UI on the API's document, in the theme of the page. Requests that are tried out are
 * sent in the name of the account that is signed in here, unless Authorize names another one.
 */

const { SwaggerUIBundle } = /** @type {any} */ (window);
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const sender = document.getElementById("sender");
const auth = document.querySelector('meta[name="auth"]')?.getAttribute("content");
// Where nobody can sign in there is no session.
const session = auth ? await import("session") : null;

/** @typedef {{ url: string, loadSpec?: boolean, headers: Record<string, string> }} Request */

/** @param {Request} request */
async function inOwnName(request) {
  const { origin, pathname } = new URL(request.url, location.href);
  const isOther = request.loadSpec || origin !== location.origin || pathname === `${auth}/token`;
  if (session && !isOther && !request.headers.Authorization) {
    const token = await session.accessToken();
    if (token) request.headers.Authorization = `Bearer ${token}`;
  }
  return request;
}

function showTheme() {
  const theme = root.dataset.theme ?? (system.matches ? "dark" : "light");
  root.classList.toggle("dark-mode", theme === "dark");
}

/** @param {string | null} username */
function showSender(username) {
  if (!sender) return;
  sender.textContent = username ? (sender.dataset.text ?? "").replace("%s", username) : "";
}

system.addEventListener("change", showTheme);
new MutationObserver(showTheme).observe(root, { attributeFilter: ["data-theme"] });
showTheme();
session?.onChange(showSender);
showSender(session?.username() ?? null);

const page = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: "none",
  // The frame is the page's main part already.
  onComplete: () => document.querySelector("#swagger-ui main")?.setAttribute("role", "none"),
  filter: true,
  requestInterceptor: inOwnName,
  requestSnippetsEnabled: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
// The Authorize button then signs in as the project's own client, which has no secret.
page.initOAuth({ clientId: "strongback" });
