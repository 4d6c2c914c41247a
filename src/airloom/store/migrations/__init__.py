"""The one migration tree. Each change of tables.py is a revision here, and its id goes at the end of REVISIONS."""
