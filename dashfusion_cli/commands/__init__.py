"""One file a command: read, call, render, exit."""
