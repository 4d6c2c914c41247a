"""Measures every budget: ours, the floor (the least that the machine can do, measured in the same run), the ratio."""
