"""dashfusion-mini: how it is made and what its model card says; each module is a command.

`recipe` (the manifests), `recognised` (clips with the words that were heard), `folds`, `crossval`,
`summary` (people left out), `composed` with `pairs` and `lent` (voices and faces lent to texts),
`human_rule` (how people weigh words, voice and face), `figures` with `bench`, `tables`, `timing`
(all other tables), `extremes` (what it finds most positive and negative). Run one with
`python -m dashfusion_training.mini.NAME`.
"""
