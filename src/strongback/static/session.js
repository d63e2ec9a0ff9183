/**
 * The session of this browser: signing in and out, and requests in the name of the account.
 *
 * The access token lives in a variable of this module, and the refresh token in a cookie that no
 * script can read. All tabs share one session: one of them refreshes at a time, and tells the others.
 */

/** @typedef {{ value: string, expires: number }} Token */
/** @typedef {{ token: Token | null, username: string | null }} News */

const NAME = "strongback-session";
/** Key of the account's name; without it there is no session, and nothing to refresh. */
const MARK = "strongback.session";
/** Keys of what belongs to the account, such as drafts; signing out removes them. */
const OWN = "strongback.own.";
const MARGIN = 60_000;

/** Address of the OAuth endpoints. */
export const endpoint = document.querySelector('meta[name="auth"]')?.getAttribute("content");
const channel = new BroadcastChannel(NAME);
/** @type {Set<(username: string | null) => void>} */
const listeners = new Set();
/** @type {Token | null} */
let token = null;
let account = readMark();

/** A request that was refused: `message` is for people, `status` 0 means that nobody responded. */
export class RequestError extends Error {
  /**
   * @param {number} status
   * @param {Record<string, any>} body
   */
  constructor(status, body) {
    super(body.message ?? body.detail ?? `HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** The name of the account that is signed in, or null. */
export function username() {
  return account;
}

/**
 * Call a function with the name of the account, or null, whenever that changes, in any tab.
 *
 * @param {(username: string | null) => void} listener
 */
export function onChange(listener) {
  listeners.add(listener);
}

/**
 * Sign in by a form of the token endpoint, or of another address with the same response.
 *
 * @param {Record<string, string>} form
 * @param {string} [address]
 */
export function signIn(form, address = `${endpoint}/token`) {
  return locked(async () => keep(await post(address, form)));
}

/** End the session, in all tabs. Throws if the server cannot be told: then it goes on. */
export async function signOut() {
  await locked(() => post(`${endpoint}/revoke`, { client_id: "strongback" }));
  end();
}

/** A token that is good for a minute at least, or null without a session. */
export async function accessToken() {
  if (token && token.expires - MARGIN > Date.now()) return token.value;
  return account === null ? null : refresh(token);
}

/**
 * Fetch from this server in the name of the account, if there is a session.
 *
 * @param {string} address
 * @param {RequestInit} [init]
 */
export async function request(address, init = {}) {
  if (new URL(address, location.href).origin !== location.origin) {
    throw new TypeError(`${address} is not on this server, which alone may see the token`);
  }
  const sent = await accessToken();
  const response = await fetch(address, withToken(init, sent));
  if (response.status !== 401 || sent === null) return response;
  // The session has ended elsewhere, or was replaced in another tab.
  const renewed = token?.value === sent ? await refresh(token) : await accessToken();
  return renewed === null ? response : fetch(address, withToken(init, renewed));
}

/**
 * Call a route of the API, and return its data, or null if it has none. Throws RequestError.
 *
 * @param {string} method
 * @param {string} address
 * @param {{ body?: unknown, headers?: Record<string, string> }} [init]
 */
export async function call(method, address, { body, headers = {} } = {}) {
  const isJson = body !== undefined;
  const response = await request(address, {
    method,
    headers: {
      "Accept-Language": document.documentElement.lang,
      ...(isJson ? { "Content-Type": "application/json" } : {}),
      ...headers,
    },
    body: isJson ? JSON.stringify(body) : null,
  }).catch((error) => {
    throw error instanceof RequestError ? error : new RequestError(0, {});
  });
  const data = await response.json().catch(() => null);
  if (!response.ok) throw new RequestError(response.status, data ?? {});
  return data;
}

/**
 * @param {RequestInit} init
 * @param {string | null} value
 */
function withToken(init, value) {
  const headers = new Headers(init.headers);
  if (value !== null) headers.set("Authorization", `Bearer ${value}`);
  return { ...init, headers };
}

/**
 * @param {Token | null} stale The token that is not good enough.
 * @returns {Promise<string | null>}
 */
function refresh(stale) {
  return locked(async () => {
    if (token && token !== stale) return token.value; // another tab was faster
    if (account === null) return null;
    try {
      return keep(await post(`${endpoint}/token`, { grant_type: "refresh_token" }));
    } catch (error) {
      if (!(error instanceof RequestError && error.status === 400)) throw error;
      end();
      return null;
    }
  });
}

/**
 * Only one tab at a time may use the cookie. There is no time limit: a response that is given up
 * would be lost with the cookie in it.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
function locked(work) {
  // Without https or a loopback address there are no locks; the server's grace has to do.
  return navigator.locks ? navigator.locks.request(NAME, work) : work();
}

/**
 * @param {string} address
 * @param {Record<string, string>} form
 * @returns {Promise<Record<string, any>>}
 */
async function post(address, form) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "X-Token-Transport": "cookie", "Accept-Language": document.documentElement.lang },
    body: new URLSearchParams(form),
    keepalive: true, // the new cookie arrives although the page is left
  }).catch(() => Response.error());
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new RequestError(response.status, body);
  return body;
}

/** @param {Record<string, any>} body */
function keep(body) {
  token = { value: body.access_token, expires: Date.now() + body.expires_in * 1000 };
  store(() => localStorage.setItem(MARK, body.username));
  tell({ token, username: body.username });
  return token.value;
}

function end() {
  token = null;
  store(() => {
    localStorage.removeItem(MARK);
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(OWN)) localStorage.removeItem(key);
    }
  });
  tell({ token, username: null });
}

/** @param {News} news */
function tell(news) {
  channel.postMessage(news);
  hear(news.username);
}

/** @param {string | null} name */
function hear(name) {
  if (name === account) return;
  account = name;
  for (const listener of listeners) listener(name);
}

function readMark() {
  return store(() => localStorage.getItem(MARK)) ?? null;
}

/**
 * @template T
 * @param {() => T} use
 */
function store(use) {
  try {
    return use();
  } catch {
    return undefined; // the browser keeps nothing for this site: the session lasts as long as the tab
  }
}

channel.addEventListener("message", (/** @type {MessageEvent<News>} */ { data }) => {
  token = data.token;
  hear(data.username);
});
addEventListener("pageshow", (event) => {
  // A page that comes back from the browser's cache has heard nothing meanwhile.
  if (!event.persisted) return;
  token = null;
  hear(readMark());
});
