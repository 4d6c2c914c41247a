"""The command line: one file per noun, loaded only when its command is used. What it does goes through operations/."""
