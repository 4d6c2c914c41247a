"""What runs where tasks run: the runner that supervises tries, the fork servers, the task process, logs, parsing.

User code runs only in the processes that are forked here. They have no database: what a task needs, it asks its runner.
"""
