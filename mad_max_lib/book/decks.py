"""The slides of a chapter: what of it they show, and the web page that shows them."""

import html
import re

import nbformat
from nbconvert import SlidesExporter
from nbformat.v4 import new_markdown_cell

from . import publish

FOLD = r"<details>.*?</details>"
LINK = r"\[([^]]+)\]\([^)]*\)"
QUESTION = r"\*[^*]+\?\*"  # in italics
UNSAID = 'alt="No description has been provided for this image"'  # what nbconvert says of a picture
SLIDES = """\
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}
<script src="reveal/dist/reveal.js"></script><script src="reveal/plugin/math/math.js"></script>
{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
.reveal { --r-main-font-size: 32px; --r-heading-text-transform: none; --r-heading-margin: 0 0 0.4em 0;
          --r-heading1-size: 2em; --r-heading2-size: 1.4em; --r-heading3-size: 1.2em; }
.reveal .slides section { text-align: left; }
.reveal .slides .jp-Cell { padding: 0 1em; }
.reveal .slides .jp-OutputArea-output, .reveal .slides .jp-MarkdownOutput { overflow: visible; }
.reveal .slides .jp-RenderedHTMLCommon { font: inherit; color: inherit; }
.reveal .slides .jp-RenderedHTMLCommon blockquote { width: auto; margin: 0; padding: 0.3em 1em;
                                                    font-style: normal; }
.reveal .slides pre { font-size: 17px !important; }  /* 110 characters side by side */
.reveal .slides .jp-RenderedImage img { display: block; margin: 0 auto; height: 15em; max-width: 100%;
                                        max-height: none; object-fit: contain; }
</style>
{%- endblock -%}
{%- block footer_js -%}
<script>
function fit() {  // in smaller letters, if need be
    const slide = Reveal.getCurrentSlide();
    for (let size = 32; size > 12 && slide.scrollHeight > 690; size--) slide.style.fontSize = `${size}px`;
    Reveal.layout();
}
Reveal.on("slidechanged", fit);
Reveal.initialize({
    width: 1280, height: 720, margin: 0.02, hash: true, slideNumber: true, transition: "none",
    plugins: [RevealMath.MathJax3],
    mathjax3: {mathjax: "tex-svg.js"},
}).then(fit);
</script>
{%- endblock -%}
"""


def slide_page(nb, name):
    """The slides of a deck as a web page, which needs ``reveal`` and ``tex-svg.js`` beside it."""
    exporter = SlidesExporter(raw_template=SLIDES, reveal_url_prefix="reveal", reveal_theme="white",
                              exclude_input_prompt=True, exclude_output_prompt=True)  # fmt: skip
    page = exporter.from_notebook_node(nb, resources={"metadata": {"name": name}})[0]
    captions = (caption for cell in nb.cells for _, caption in pictures(cell))
    return re.sub(UNSAID, lambda _: f'alt="{html.escape(next(captions))}"', page)


def deck(nb):
    """The slides of a chapter, as a notebook whose cells carry nbconvert's slideshow metadata.

    Slides are chosen by the chapter's structure: its title; each theorem, without the proof; each paragraph
    with a question in italics; each figure, without the code. The first of them under a heading gets the
    heading. A cell with a slide type of its own is taken whole, or left out if the type is "skip".

    Examples
    --------
    >>> from nbformat.v4 import new_notebook
    >>> text = "# 01 · Lines\\n\\n*A motto.*\\n\\nText.\\n\\n## How many?\\n\\nA guess: *how?*\\n\\nMore."
    >>> for cell in deck(new_notebook(cells=[new_markdown_cell(text)])).cells:
    ...     print(cell.metadata.slideshow.slide_type, repr(cell.source))
    slide '# 01 · Lines'
    - '*A motto.*'
    slide '## How many?'
    - 'A guess: *how?*'
    """
    cells, heading = [], None
    for cell in publish.canonical(nb).cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if kind == "skip":
            continue
        for shown in [cell] if kind else _shown(cell):
            if shown.cell_type == "markdown" and shown.source.startswith("#"):
                heading = None if kind else shown
            if heading is shown:
                continue
            if heading:
                cells.append(_marked(heading, "subslide" if heading.source.startswith("### ") else "slide"))
            begins = kind in (None, "slide", "subslide")
            cells.append(_marked(shown, "-" if heading and begins else kind or "subslide"))
            heading = None
    return nbformat.v4.new_notebook(cells=cells, metadata=nb.metadata)


def _shown(cell):
    """The headings of a cell and what a slide shows of it, as new cells."""
    if cell.cell_type == "code":
        cell.outputs = [output for output in cell.outputs if "data" in output]
        cell.metadata.transient = {"remove_source": True}
        return [cell] if any("image/png" in output.data for output in cell.outputs) else []
    found = []
    if not tags(cell):
        source = re.sub(LINK, r"\1", re.sub(FOLD, "", cell.source, flags=re.S))
        source = re.sub(r"^### Exercise.*?(?=^##? |\Z)", "", source, flags=re.M | re.S)
        for block in re.split(r"\n{2,}", source.strip()):
            motto = found and found[-1].source.startswith("# ")
            if motto or block.startswith(("#", ">")) or re.search(QUESTION, block):
                found.append(new_markdown_cell(block))
    return found


def tags(cell):
    return cell.metadata.get("tags", [])


def pictures(cell):
    """The pictures that a cell shows, each with its caption without marks, as a screen reader speaks it."""
    outputs = cell.get("outputs", [])
    for output, after in zip(outputs, [*outputs, {}][1:], strict=True):
        if "image/png" in output.get("data", {}):
            yield output, re.sub(r"[*`$]", "", after.get("data", {}).get("text/markdown", ""))


def _marked(cell, kind):
    cell.metadata.slideshow = nbformat.from_dict({"slide_type": kind})
    return cell
