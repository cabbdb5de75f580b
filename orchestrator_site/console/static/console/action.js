/* Continues an action until it ends, and shows its progress. Without this script, each press of
   "Continue" takes some steps. */
"use strict";
{
  const PAUSE_MILLISECONDS = 2000;
  const MAX_FAILURES = 5;

  const form = document.getElementById("steps");
  const progress = document.getElementById("progress");
  let isLeaving = false;

  const show = (id) => {
    for (const note of form.querySelectorAll(":scope > [id]")) {
      note.hidden = note.id !== id;
    }
  };

  /* Take some steps; return the progress from the new page, or null if the page has none. */
  async function progressAfterSteps() {
    const body = new FormData(form);
    body.set("step", "continue");
    const response = await fetch(location.pathname + location.search, {method: "POST", body});
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return page.getElementById("progress");
  }

  async function goOn(button) {
    show("running");
    button.disabled = true;
    let failures = 0;
    while (!isLeaving && progress.querySelector("progress")) {
      const fresh = await progressAfterSteps().catch(() => null);
      if (fresh) {
        failures = 0;
        progress.replaceChildren(...fresh.childNodes);
      } else if (++failures === MAX_FAILURES) {
        show("interrupted");
        button.disabled = false;
        return;
      } else {
        await new Promise((done) => setTimeout(done, PAUSE_MILLISECONDS));
      }
    }
    if (!isLeaving) {
      form.remove();
    }
  }

  if (form) {
    const button = form.querySelector("[value=continue]");
    form.addEventListener("submit", (event) => {
      if (event.submitter === button) {
        event.preventDefault();
        goOn(button);
      } else {
        isLeaving = true;
      }
    });
    // The redirect after the confirmation sets this. Opening the page does not continue the action.
    if (location.hash === "#continue") {
      goOn(button);
    }
  }
}
