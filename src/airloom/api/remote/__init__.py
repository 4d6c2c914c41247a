"""The task API: what runners on other machines use. It speaks model/wire.py over HTTP."""
