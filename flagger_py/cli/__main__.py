"""`python -m flagger_py.cli`: the command where its script is not on the path."""

from flagger_py.cli import main

if __name__ == "__main__":
    main()
