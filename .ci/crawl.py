"""Walk through the built site and name every dead link, request to elsewhere and raw formula.

`make docs` runs it at its end: `python .ci/crawl.py docs/_build/html`. A page must be readable
from disk: every file and anchor it refers to is there, nothing is loaded from a network, every
`Eq. (n.m)` is a link to its equation, and no TeX stands outside of a formula or of code.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs" / "_ext"))
from equations import CITATION, citations

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
LOADS = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}
LOADED = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload"}
FORMULA = re.compile(r"\\\[.*\\\]|\\\(.*\\\)|\\begin\{(align\*?)\}.*\\end\{\1\}", re.DOTALL)
RAW = re.compile(r"\$\$|\\(?:frac|tag|begin|sum|bar|mathrm|cdot)\b|\\[\[(]")


class Page(NamedTuple):
    """What a page offers and asks for."""

    ids: set
    links: list  # targets of its <a>
    loads: list  # files that a browser fetches by itself
    cited: int  # equations that are cited and linked
    faults: list


class Reader(HTMLParser):
    """Collects a page's anchors, links, loads and text."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.loads = [], set(), [], []
        self.prose, self.text, self.formula = [], [], []
        self.cited, self.faults = 0, []

    def handle_starttag(self, tag, attributes):
        at = {name: value or "" for name, value in attributes}
        classes = at.get("class", "").split()
        self.ids |= {at["id"]} if "id" in at else set()
        if tag == "a" and "href" in at:
            if self.inside("a"):
                self.faults.append(f"a link inside a link: {at['href']}")
            self.links.append(at["href"])
        elif at.get(LOADS.get(tag)) and (tag != "link" or LOADED & set(at.get("rel", "").split())):
            self.loads.append(at[LOADS[tag]])
        if any("<" in value and "equation" in value for value in at.values()):
            self.faults.append(f"a link was put into an attribute of <{tag}>")
        if tag not in VOID:
            self.open.append((tag, *classes))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass
        if self.formula and not self.inside("math"):
            text = "".join(self.formula).strip()
            if not FORMULA.fullmatch(text):
                self.faults.append(f"a formula with TeX outside of it: ...{text[-40:]!r}")
            self.formula = []

    def inside(self, *words):
        """Say whether a tag or class is open."""
        return any(word in element for element in self.open for word in words)

    def handle_data(self, data):
        if self.inside("math"):
            self.formula.append(data)
        if self.inside("script", "style", "title", "math", "sidebar-tree", "toc-tree"):
            return
        if self.inside("equation"):
            self.cited += 1
            data = " "
        self.text.append(data)
        if not self.inside("pre", "code"):
            self.prose.append(data)


def read(path):
    """Return what one page offers and asks for."""
    reader = Reader()
    reader.feed(path.read_text())
    prose, text = "".join(reader.prose), "".join(reader.text)
    faults = reader.faults + [f"raw TeX: {prose[m.start() :][:40]!r}" for m in RAW.finditer(prose)]
    for match in CITATION.finditer(text):
        faults += [f"Eq. ({number}) is no link" for number in citations(match[0])]
    return Page(reader.ids, reader.links, reader.loads, reader.cited, faults)


def fault_of(link, path, pages, site):
    """Return what is wrong with a link of a page, or None."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_relative_to(site) or not target.is_file():
        return f"dead link: {link}"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return f"dead anchor: {link}"
    return None


def crawl(site):
    """Return (pages by path, sentences about what is wrong)."""
    site = site.resolve()
    pages = {path: read(path) for path in sorted(site.rglob("*.html"))}
    faults = []
    for path, page in pages.items():
        wrong = list(page.faults)
        wrong += [f"loads from elsewhere: {u}" for u in page.loads if re.match(r"\w+:|//", u)]
        here = [u for u in page.links + page.loads if not u.startswith("data:")]
        wrong += filter(None, (fault_of(link, path, pages, site) for link in here))
        faults += [f"{path.relative_to(site)}: {sentence}" for sentence in dict.fromkeys(wrong)]
    for path in site.rglob("*.css"):
        if re.search(r"url\(\s*['\"]?(?:https?:)?//", path.read_text()):
            faults.append(f"{path.relative_to(site)}: loads from elsewhere")
    return pages, faults


def main(folder):
    """Print what was walked through, and fail if anything is wrong."""
    pages, faults = crawl(Path(folder))
    links = sum(len(page.links) for page in pages.values())
    cited = sum(page.cited for page in pages.values())
    print(*faults, sep="\n", file=sys.stderr, end="\n" if faults else "")
    print(f"{len(pages)} pages, {links} links, {cited} cited equations, {len(faults)} faults")
    return 1 if faults or not pages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
