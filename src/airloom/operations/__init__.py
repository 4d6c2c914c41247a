"""One verb, one function: what users and programs ask of Airloom. The command line goes through these alone.

What changes a run, a dag or a pool is a command for the leading scheduler; it goes through the inbox (asking.py).
"""
