"""`python -m homeedit` is the command line."""

from homeedit.cli.main import run

if __name__ == "__main__":
    run()
