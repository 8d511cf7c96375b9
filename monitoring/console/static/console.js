// What a page does besides HTMX: all of it is comfort, and every page works without it.
"use strict";
{
  const part = "lately";
  let open = [];
  const stale = (is) => {
    const told = document.getElementById("stale");
    if (told) told.hidden = !is;
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    // Nobody looks: nothing need be asked.
    if (event.detail.elt.id === part && document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", () => {
    open = [...document.querySelectorAll("details[open][id]")].map((each) => each.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    stale(false);
  });
  for (const failed of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failed, () => stale(true));
  }
}
