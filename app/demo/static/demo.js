// The buttons of development that sign in with one click.
import { signIn } from "session";

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (
  document.querySelectorAll("form[data-demo]")
)) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = document.querySelector(".strip .problem");
    try {
      await signIn({ client_id: "strongback" }, form.dataset.demo);
    } catch (error) {
      if (problem) problem.textContent = error instanceof Error ? error.message : String(error);
    }
  });
  for (const button of form.querySelectorAll("button")) button.disabled = false;
}
