"""The daemons: each is a loop around a `tick`, one file each. They combine the store, decisions and executors."""
