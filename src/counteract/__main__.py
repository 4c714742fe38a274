"""`python -m counteract`, which is also what torchrun starts."""

from counteract.cli import main

if __name__ == "__main__":
    main()
