"""A Celery worker: takes messages from the broker and hands the tries in them to the runner of its machine."""
