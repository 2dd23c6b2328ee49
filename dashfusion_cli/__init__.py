"""The `dashfusion` command: what a person types and reads."""

__version__ = "0.1.0"
