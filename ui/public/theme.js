// Runs before the first paint, so that a dark page never flashes light. A file of its own: the CSP allows no inline script.
(function () {
  var scheme = 'auto';
  try {
    scheme = localStorage.getItem('airloom-theme') || 'auto';
  } catch (error) {
    // Storage may be forbidden; then the system decides.
  }
  if (scheme !== 'light' && scheme !== 'dark') {
    scheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  }
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
})();
