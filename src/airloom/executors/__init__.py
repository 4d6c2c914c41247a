"""Executors: each runs tries somewhere, behind the same six methods (base.py).

The local and the sequential one hand tries to one runner process on this machine, over a Unix socket.
"""
