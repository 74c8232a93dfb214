"""`python -m dualgauge`: the command line."""

from dualgauge.cli import main

if __name__ == "__main__":
    main()
