"""The composition root: the only modules that name concrete executors, stores and notifiers."""
