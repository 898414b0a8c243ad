"""Max-affine splines: one unit, a layer of them, and how much each piece counts."""
