"""What the notebooks are made with: figures, sliders, rendering, editions."""
