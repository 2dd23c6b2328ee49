"""The paper: its tables as data, what each needs, and ours beside them."""
