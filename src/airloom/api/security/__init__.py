"""Who calls, and what is refused before any route sees it."""
