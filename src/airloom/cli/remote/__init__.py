"""The verbs of operations/ on a server elsewhere, over its REST API: a module for each, with the same functions.

cli/verbs.py chooses between the two; a test holds their signatures against each other.
"""
