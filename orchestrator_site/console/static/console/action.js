/* Shows the progress of an action until it ends. Without this script, the link "Refresh" does. */
"use strict";
{
  const EVERY_MILLISECONDS = 1000;
  const MAX_FAILURES = 3;

  const form = document.getElementById("unfinished");
  const note = document.getElementById("unanswered");
  let failures = 0;

  const shown = () => document.getElementById("content-main");

  /* Fetch the page again; return its content, or null if it has none, such as the login page. */
  async function freshContent() {
    const response = await fetch(location.href);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return page.getElementById("progress") && page.getElementById("content-main");
  }

  /* Replace the progress only if it changed, so that screen readers say it once. */
  function show(fresh) {
    const before = document.getElementById("progress");
    const after = fresh.querySelector("#progress");
    if (before.innerHTML !== after.innerHTML) {
      before.replaceChildren(...after.childNodes);
    }
  }

  async function follow() {
    const fresh = document.hidden ? undefined : await freshContent().catch(() => null);
    if (fresh && !fresh.querySelector("#unfinished")) {
      // It has ended: show all of it, with the tasks as they are now.
      shown().replaceChildren(...fresh.childNodes);
      return;
    }
    if (fresh) {
      failures = 0;
      show(fresh);
    } else if (fresh === null) {
      failures += 1;
    }
    note.hidden = failures < MAX_FAILURES;
    setTimeout(follow, EVERY_MILLISECONDS);
  }

  if (form) {
    document.getElementById("refresh").hidden = true;
    setTimeout(follow, EVERY_MILLISECONDS);
  }
}
