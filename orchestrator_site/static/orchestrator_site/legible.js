// Django names the icons of its filter boxes but does not say what they are: nothing reads them out.
window.addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".help-tooltip[aria-label]")) {
    icon.setAttribute("role", "img");
  }
});
