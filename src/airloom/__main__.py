"""`python -m airloom`: the command line."""

from airloom.cli.main import main

if __name__ == "__main__":
    main()
