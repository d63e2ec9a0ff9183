// Says in the bar of every page who is signed in. The page itself is the same for everybody.
import { onChange, username } from "./session.js";

const link = document.querySelector("#account");
if (link instanceof HTMLAnchorElement) {
  const signIn = link.textContent;
  const address = new URL(link.href);
  if (location.pathname !== address.pathname) {
    const next = new URL(location.href);
    next.searchParams.delete("token"); // of a link in a mail
    address.searchParams.set("next", next.pathname + next.search);
    link.href = address.href;
  }
  /** @param {string | null} name */
  const update = (name) => {
    link.textContent = name ?? signIn;
  };
  onChange(update);
  update(username());
}
