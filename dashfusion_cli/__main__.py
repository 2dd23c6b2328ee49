"""`python -m dashfusion_cli`, which torchrun needs."""

from dashfusion_cli.app import main

if __name__ == "__main__":  # spawned workers import this module again
    main()
