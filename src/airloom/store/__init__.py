"""The only SQL: tables, functions that take a connection and give model data, and the migrations that make the tables.

`database.connect(url)` gives a Database; `db.transaction()` and `db.reading()` give the connections that every other
function here takes. Nothing here decides anything.
"""
