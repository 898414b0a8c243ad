"""Sliders that redraw a figure, and leave a picture behind where no kernel runs."""

import base64
import html
import itertools
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
    ``.set(...)`` moves sliders from code and raises. Each drawing begins with empty axes, which stay
    where the first one left them.

    Examples
    --------
    >>> explorer = Explorer(lambda ax, k: ax.plot([0, k]), k=(0, 5),
    ...                     caption="A line that rises as steeply as the slider tells.")
    >>> explorer.set(k=3)
    >>> explorer.values
    {'k': 3}

    Used from chapter 00 on.
    """

    def __init__(self, draw, caption, figsize=(6, 4), subplots=(1, 1), **ranges):
        self._draw, self._caption = draw, numbered(caption)
        self._sliders = {name: _slider(name, choice) for name, choice in ranges.items()}
        self._figure, self._subplots, self._own = plt.figure(figsize=figsize), subplots, None
        plt.close(self._figure)  # only the widget shows it
        # flex-start: the picture keeps its size, where a box would stretch it over the page
        self._picture = ipywidgets.Image(format="png", layout={"align_self": "flex-start"})
        self._error = ipywidgets.HTML()
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
            slider = self._sliders[name]
            slider.unobserve(self._moved, "value")
            try:
                slider.value = value
            finally:
                slider.observe(self._moved, "value")
            if slider.value != value:
                raise ValueError(f"slider {name!r} goes from {slider.min} to {slider.max}, got {value!r}")
        self._redraw()

    def pictures(self, most=81):
        """The pictures over a grid of values, for pages without a kernel.

        Parameters
        ----------
        most : int
            About how many pictures; three sliders get four values each.

        Returns
        -------
        choices : dict from name to list of values, that where the slider stands among them
        pictures : list of bytes
            One PNG for each combination; the value of the last slider changes first.
        """
        stood, each = self.values, max(3, round(most ** (1 / len(self._sliders))))
        choices = {name: _values(slider, each) for name, slider in self._sliders.items()}
        pictures = []
        for combination in itertools.product(*choices.values()):
            self.set(**dict(zip(choices, combination, strict=True)))
            pictures.append(self._picture.value)
        self.set(**stood)
        return choices, pictures

    def _moved(self, change):
        try:
            self._redraw()
        except Exception:  # a callback's error would vanish: show it where the reader looks
            self._error.value = f"<pre>{html.escape(traceback.format_exc(limit=-2))}</pre>"

    def _redraw(self):
        if self._figure.get_children() != self._own:  # at first, or a drawing left a colour bar or the like
            self._figure.clear()
            self._figure.set_layout_engine(None)
            self._axes = np.atleast_1d(self._figure.subplots(*self._subplots))
            self._own = self._figure.get_children()
            self._parts = {part for ax in self._axes.flat for part in ax.get_children()}
        for ax in self._axes.flat:
            _empty(ax, self._parts)
        self._draw(self._axes if self._axes.size > 1 else self._axes.flat[0], **self.values)
        if self._figure.get_children() != self._own:
            self._figure.set_layout_engine(None)
        self._picture.value = png(self._figure)
        self._figure.set_layout_engine("none")  # it takes a third of the time, and axes would jump about
        self._error.value = ""

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"] = self._caption
        bundle["image/png"] = base64.b64encode(self._picture.value).decode()
        return bundle

    def _ipython_display_(self):
        display(self._repr_mimebundle_(), raw=True)
        display(Markdown(self._caption))


def _empty(ax, parts):
    """What ``ax.clear()`` does, keeping its own parts: new ticks cost a third of a redraw."""
    for artist in set(ax.get_children()) - parts:
        artist.remove()
    ax.containers.clear()
    for side in ("left", "center", "right"):
        ax.set_title("", loc=side)
    ax.set(xlabel="", ylabel="", xscale="linear", yscale="linear", aspect="auto", xlim=(0, 1), ylim=(0, 1))
    ax.relim()
    ax.autoscale(True)
    ax.set_prop_cycle(None)
    ax.set_axis_on()


def _slider(name, choice):
    """The slider for one range; its label is the argument's name."""
    look = {"description": name, "style": {"description_width": "initial"}, "layout": {"width": "420px"}}
    if isinstance(choice, list):
        return ipywidgets.SelectionSlider(options=choice, **look)
    low, high, *start = choice = [np.asarray(v).item() for v in choice]  # NumPy's numbers count too
    value = start[0] if start else low
    if all(isinstance(v, int) for v in choice):
        return ipywidgets.IntSlider(value, low, high, **look)
    return ipywidgets.FloatSlider(value, min=low, max=high, step=(high - low) / 50, **look)


def _values(slider, most):
    """At most that many values of a slider, from end to end, with the one where it stands."""
    if isinstance(slider, ipywidgets.SelectionSlider):
        values = list(slider.options)
    else:
        count = round((slider.max - slider.min) / slider.step) + 1
        values = np.linspace(slider.min, slider.max, count).tolist()
        if isinstance(slider, ipywidgets.IntSlider):
            values = [round(value) for value in values]
        values[round((slider.value - slider.min) / slider.step)] = slider.value
    stands = values.index(slider.value)
    if len(values) > most:
        places = np.linspace(0, len(values) - 1, most).round().astype(int)
        inner = places[1:-1]
        if 0 < stands < len(values) - 1:
            inner[np.abs(inner - stands).argmin()] = stands
        values = [values[place] for place in places]
    return values
