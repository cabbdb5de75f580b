// Django names the icons of its filter boxes but does not say what they are: nothing reads them out.
window.addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".help-tooltip[aria-label]")) {
    icon.setAttribute("role", "img");
  }
});

// Filters stand above the rows of a narrow screen, so that those which filter nothing begin closed.
// Django would remember that for the wide ones too.
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
