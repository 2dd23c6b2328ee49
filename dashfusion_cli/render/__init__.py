"""A result becomes something to read: pure functions."""
