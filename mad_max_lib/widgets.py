"""Sliders that redraw a figure, and leave a picture behind where no kernel runs."""

import base64
import html
import traceback

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display

from .figures import numbered, png


class Explorer(ipywidgets.VBox):
    """A figure with a slider for each argument of its drawing function.

    Parameters
    ----------
    draw : function ``draw(ax, **values)``
        Draws on an empty axis (on an array of axes where ``subplots`` asks for several).
    caption : str
        A sentence that states what the reader sees.
    figsize : (width, height) in inches
    subplots : (rows, columns)
    **ranges : ``(low, high)`` or ``(low, high, start)``, or a list of choices
        Two whole numbers make an integer slider, otherwise a slider of 50 steps.

    Notes
    -----
    The page keeps the picture without a kernel. An error caused by a slider is shown below it;
    ``.set(...)`` moves sliders from code and raises.

    Examples
    --------
    >>> explorer = Explorer(lambda ax, k: ax.plot([0, k]), "A line that rises as steeply as the slider tells.",
    ...                     k=(0, 5))
    >>> explorer.set(k=3)
    >>> explorer.values
    {'k': 3}
    """

    def __init__(self, draw, caption, figsize=(6, 4), subplots=(1, 1), **ranges):
        self._draw, self._caption = draw, numbered(caption)
        self._sliders = {name: _slider(name, choice) for name, choice in ranges.items()}
        self._figure, axes = plt.subplots(*subplots, figsize=figsize)
        plt.close(self._figure)  # only the widget shows it
        self._axes = np.atleast_1d(axes)
        self._picture, self._error = ipywidgets.Image(format="png"), ipywidgets.HTML()
        for slider in self._sliders.values():
            slider.observe(self._moved, "value")
        self._redraw()
        super().__init__([*self._sliders.values(), self._picture, self._error])

    @property
    def values(self):
        """Where the sliders stand, by name."""
        return {name: slider.value for name, slider in self._sliders.items()}

    def set(self, **values):
        """Move sliders from code; an error in the drawing raises here."""
        for name, value in values.items():
            if name not in self._sliders:
                raise ValueError(f"there is no slider {name!r}; there are {', '.join(self._sliders)}")
            self._sliders[name].unobserve(self._moved, "value")
            self._sliders[name].value = value
            self._sliders[name].observe(self._moved, "value")
        self._redraw()

    def _moved(self, change):
        try:
            self._redraw()
            self._error.value = ""
        except Exception:  # a callback's error would vanish: show it where the reader looks
            self._error.value = f"<pre>{html.escape(traceback.format_exc(limit=-2))}</pre>"

    def _redraw(self):
        for ax in self._axes.flat:
            for artist in [*ax.lines, *ax.collections, *ax.patches, *ax.images, *ax.texts]:
                artist.remove()
            ax.set_prop_cycle(None)
        self._draw(self._axes if self._axes.size > 1 else self._axes[0], **self.values)
        self._picture.value = png(self._figure)

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        bundle["image/png"] = base64.b64encode(self._picture.value).decode()
        return bundle

    def _ipython_display_(self):
        display(self._repr_mimebundle_(), raw=True)
        display(Markdown(self._caption))


def _slider(name, choice):
    """The slider for one range; its label is the argument's name."""
    look = {"description": name, "style": {"description_width": "initial"}, "layout": {"width": "420px"}}
    if isinstance(choice, list):
        return ipywidgets.SelectionSlider(options=choice, **look)
    low, high, *start = choice
    value = start[0] if start else low
    if all(isinstance(v, int) for v in choice):
        return ipywidgets.IntSlider(value, low, high, **look)
    return ipywidgets.FloatSlider(value, min=low, max=high, step=(high - low) / 50, **look)
