"""The figures of dashfusion-mini's model card: what is measured, and on whom.

Each module is a command, `python -m dashfusion_training.mini.NAME`: `composed` (voices and faces
lent to texts), `figures` (all other tables), `extremes` (what it finds most positive and negative).
"""
