"""The exact regions of a network in a plane."""
