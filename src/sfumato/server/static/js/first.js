// Sets the chosen theme before anything is painted, so that the page never flashes in the other one.
try {
  const theme = JSON.parse(localStorage.getItem("sfumato.habits") || "{}").theme;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
