// An article's page for those who are signed in: live counters and comments, likes, and a form.
// The page is whole without it, and without a connection the form and the likes go on working.
import { call, endpoint, onChange, RequestError, username } from "session";

/** @typedef {{ id: number, author: string, body: string | null, reply_to: number | null, created_at: string }} Comment */
/** @typedef {{ likes: number, comments: number }} Counters */
/** @typedef {import("centrifuge").Centrifuge} Client */

const api = endpoint?.replace(/\/auth$/, "");
const article = /** @type {HTMLElement} */ (document.querySelector("article[data-article]"));
const list = /** @type {HTMLElement} */ (document.querySelector("#comment-list"));
const like = /** @type {HTMLButtonElement} */ (document.querySelector("#like"));
const form = /** @type {HTMLFormElement} */ (document.querySelector("#comment-form form"));
const invitation = /** @type {HTMLElement} */ (document.querySelector("#comment-form > p"));
const field = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem("body"));
const problem = /** @type {HTMLElement} */ (form.querySelector("[role=alert]"));
const template = /** @type {HTMLTemplateElement} */ (document.querySelector("#comment-new"));
const number = article.dataset.article;
const address = `${api}/articles/${encodeURIComponent(article.dataset.slug ?? "")}`;
const draft = `strongback.own.comment.${number}`;
/** @type {Client | null} */
let client = null;
let key = newKey();

function newKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join(
    "",
  );
}

// Counters and likes

/** @param {Partial<Counters>} counters */
function count(counters) {
  for (const [name, value] of Object.entries(counters)) {
    for (const shown of document.querySelectorAll(`[data-count="${name}"]`)) {
      shown.textContent = String(value);
    }
  }
}

/** @param {boolean} isLiked */
function showLike(isLiked) {
  like.setAttribute("aria-pressed", String(isLiked));
}

async function toggleLike() {
  const isLiked = like.getAttribute("aria-pressed") === "true";
  const before = Number(document.querySelector('[data-count="likes"]')?.textContent);
  showLike(!isLiked);
  // Before the server tells everybody the number, which then stands.
  count({ likes: before + (isLiked ? -1 : 1) });
  try {
    await call(isLiked ? "DELETE" : "PUT", `${address}/like`);
  } catch {
    showLike(isLiked);
    count({ likes: before });
  }
}

// Comments

/** @param {Comment} comment */
function show(comment) {
  // Newer ones belong on the last page alone.
  if (list.dataset.last === undefined || document.getElementById(`comment-${comment.id}`)) return;
  const item = /** @type {HTMLElement} */ (template.content.cloneNode(true)).firstElementChild;
  if (!item) return;
  const [author, self] = item.querySelectorAll("a");
  const time = item.querySelector("time");
  const said = item.querySelector(".said");
  if (!author || !self || !time || !said) return;
  item.id = `comment-${comment.id}`;
  const picture = item.querySelector("img");
  if (picture?.dataset.address) {
    picture.src = picture.dataset.address.replace("{}", encodeURIComponent(comment.author));
  }
  author.textContent = comment.author;
  author.href = `/authors/${encodeURIComponent(comment.author)}`;
  self.href = `#${item.id}`;
  time.dateTime = comment.created_at;
  time.textContent = new Intl.DateTimeFormat(
    document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang,
    {
      dateStyle: "long",
      timeZone: "UTC",
    },
  ).format(new Date(comment.created_at));
  said.textContent = comment.body;
  list.append(item);
}

/** Fetch what was written after the page, or while the connection was lost. */
async function catchUp() {
  const query = new URLSearchParams({
    page: list.dataset.page ?? "1",
    page_size: list.dataset.size ?? "20",
  });
  const { items } = await call("GET", `${address}/comments?${query}`);
  for (const comment of items) show(comment);
}

async function send() {
  problem.textContent = "";
  const body = field.value;
  try {
    const headers = { "Idempotency-Key": key };
    show(await call("POST", `${address}/comments`, { body: { body }, headers }));
    key = newKey();
    field.value = "";
    save();
  } catch (error) {
    const isSilent = !(error instanceof RequestError) || error.status === 0;
    const cause = isSilent ? undefined : error.body.errors?.[0]?.message;
    problem.textContent = isSilent ? (form.dataset.silent ?? "") : (cause ?? error.message);
    field.focus();
  }
}

function save() {
  try {
    if (field.value) localStorage.setItem(draft, field.value);
    else localStorage.removeItem(draft);
  } catch {
    // The browser keeps nothing for this site.
  }
}

function restore() {
  try {
    field.value ||= localStorage.getItem(draft) ?? "";
  } catch {
    // The same.
  }
}

// The connection

/** @param {{ type: string, comment?: Comment, id?: number } & Partial<Counters>} event */
async function hear({ type, comment, id, likes, comments }) {
  if (type === "counters") count({ likes: likes ?? 0, comments: comments ?? 0 });
  else if (type === "comment:deleted") document.getElementById(`comment-${id}`)?.remove();
  else if (type === "comment" && comment) {
    // A long one comes without its body.
    show(comment.body === null ? await call("GET", `${api}/comments/${comment.id}`) : comment);
  }
}

async function connect() {
  const ask = () => call("POST", `${api}/realtime/token`);
  const { token, url } = await ask();
  await import("centrifuge");
  const { Centrifuge } =
    /** @type {{ Centrifuge: typeof import("centrifuge").Centrifuge & { UnauthorizedError: new (message: string) => Error } }} */ (
      /** @type {unknown} */ (globalThis)
    );
  const getToken = async () => {
    try {
      return (await ask()).token;
    } catch (error) {
      const isOver = error instanceof RequestError && [401, 403].includes(error.status);
      throw isOver ? new Centrifuge.UnauthorizedError(error.message) : error;
    }
  };
  const opened = new Centrifuge(url, { token, getToken });
  const channel = opened.newSubscription(`article:${number}`);
  channel.on("subscribed", ({ data, recovered }) => {
    if (data) hear(data);
    if (!recovered) catchUp().catch(() => {}); // a reload shows what is missing
  });
  channel.on("publication", ({ data }) => {
    hear(data).catch(() => {});
  });
  channel.subscribe();
  opened.connect();
  return opened;
}

/** @param {string | null} name */
async function update(name) {
  const isSignedIn = name !== null;
  form.hidden = like.hidden = !isSignedIn;
  invitation.hidden = isSignedIn;
  client?.disconnect();
  client = null;
  if (!isSignedIn) {
    field.value = "";
    return;
  }
  restore();
  const [liked, opened] = await Promise.allSettled([call("GET", `${address}/like`), connect()]);
  if (liked.status === "fulfilled") showLike(liked.value.liked);
  if (opened.status === "rejected") return;
  if (username() === name && client === null) client = opened.value;
  else opened.value.disconnect();
}

like.addEventListener("click", toggleLike);
field.addEventListener("input", save);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
onChange(update);
if (username() !== null) update(username());
