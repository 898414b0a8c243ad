"""For ``pytest``: no test opens a window."""

import matplotlib

matplotlib.use("Agg")
