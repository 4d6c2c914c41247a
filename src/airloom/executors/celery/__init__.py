"""The Celery executor: tries run on workers on many machines. Celery is imported only here and in runtime/worker."""
