"""Data, networks, training and penalties: what the experiments of the book are made of."""
