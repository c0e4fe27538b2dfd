// Sets the theme that was chosen before the page is drawn, so that it never flickers; so this is no module.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; then the page follows the system.
}
