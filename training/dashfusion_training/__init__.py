"""From labelled clips to a checkpoint and a table."""
