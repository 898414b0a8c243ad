"""The web pages as one PDF: contents, bookmarks and page numbers, printed by a headless Chromium."""

import re
import shutil
import sys
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "google-chrome", "chromium-browser"])), None)
FOOT = '<div style="font-size: 8px; width: 100%; text-align: center"><span class="pageNumber"></span></div>'
SCREEN_ONLY = ".headerlink, script, details.hide"  # the last one folds code
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{styles}
<style>@page {{ size: A4; margin: 18mm 16mm; }}
section.chapter {{ break-before: page; }} img, tr, blockquote {{ break-inside: avoid; }}</style>
<script>window.MathJax = {{ options: {{ processHtmlClass: "math" }} }};</script>
<script defer src="_static/tex-svg.js"></script></head><body><article class="bd-article">
<h1>{title}</h1><ul style="list-style: none">{contents}</ul>{chapters}</article></body></html>"""


def joined(site, title, stems):
    """The pages of a site as one page: links lead inside it, folds of text stand open."""
    from bs4 import BeautifulSoup

    chapters, contents = [], []
    for stem in stems:
        page = BeautifulSoup((Path(site) / f"{stem}.html").read_text("utf-8"), "html.parser")
        article = page.select_one("article.bd-article")
        for part in article.select(SCREEN_ONLY):
            part.decompose()
        for fold in article.select("details"):
            fold["open"] = ""
        for part in article.select("[id]"):
            part["id"] = f"{stem}--{part['id']}"
        for link in article.select("a[href]"):
            there = re.fullmatch(r"(?:([\w-]+)\.html)?(?:#(.*))?", link["href"])
            if there and (there[1] or stem) in stems:
                link["href"] = f"#{there[1] or stem}" + (f"--{there[2]}" if there[2] else "")
        contents.append(f'<li><a href="#{stem}">{article.h1.get_text()}</a></li>')
        chapters.append(f'<section class="chapter" id="{stem}">{article.decode_contents()}</section>')
    styles = "".join(map(str, page.select("link[rel=stylesheet]")))
    return PAGE.format(title=title, styles=styles, contents="".join(contents), chapters="".join(chapters))


def print_site(site, title, stems, file):
    """Print the pages named ``stems`` of a site into one PDF."""
    if CHROMIUM is None:
        sys.exit("the PDF is printed by Chromium or Google Chrome: install one")
    from playwright.sync_api import sync_playwright

    (Path(site) / "whole.html").write_text(joined(site, title, stems), "utf-8")
    with sync_playwright() as started:
        page = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()
        page.set_default_timeout(600_000)
        page.goto((Path(site) / "whole.html").as_uri())
        page.wait_for_function("window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise")
        page.pdf(path=file, outline=True, tagged=True, prefer_css_page_size=True, print_background=True,
                 display_header_footer=True, header_template="<i></i>", footer_template=FOOT)  # fmt: skip
