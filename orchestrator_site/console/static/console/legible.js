// Django labels the icons of its filter boxes but gives them no role, so screen readers skip them.
window.addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".help-tooltip[aria-label]")) {
    icon.setAttribute("role", "img");
  }
});

// On a narrow screen, filters are above the rows, so unused filters start closed. The first listener
// keeps Django from remembering that for wide screens.
if (window.matchMedia("(max-width: 767px)").matches) {
  document.addEventListener("toggle", (event) => event.stopImmediatePropagation(), true);
  document.addEventListener("DOMContentLoaded", () => {
    for (const filter of document.querySelectorAll("#changelist-filter details")) {
      filter.open = null !== filter.querySelector(
        "li.selected:not(:first-child), input:is([type=date], [type=text]):not([value=''])",
      );
    }
  });
}
