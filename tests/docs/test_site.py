"""What `make docs` and `make tutorials` stand on, without building the site."""

import json
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "docs" / "_ext"), str(ROOT / ".ci")]
import api_pages  # noqa: E402
import crawl  # noqa: E402
import measured  # noqa: E402
import shapes  # noqa: E402
import tables  # noqa: E402
import traceability  # noqa: E402

GOOD = """<html><head><link rel="stylesheet" href="a.css"><link rel="canonical" href="https://x.org">
</head><body><h1 id="top">Title</h1><a href="b.html#there">b</a> <a href="https://x.org">out</a>
<div class="math">\\[x \\tag{3.1}\\]</div> Eq. <a class="equation" href="#top">(3.1)</a>
<pre>cost $$ \\frac</pre><img src="i.png"></body></html>"""
FAULTS = {
    "dead link: gone.html": '<a href="gone.html">x</a>',
    "dead link: ../../etc/hosts": '<a href="../../etc/hosts">x</a>',
    "dead anchor: b.html#nowhere": '<a href="b.html#nowhere">x</a>',
    "dead anchor: #here": '<a href="#here">x</a>',
    "dead link: gone.png": '<img src="gone.png">',
    "loads from elsewhere": '<script src="https://cdn.example/x.js"></script>',
    "raw TeX": "<p>and $$ x</p>",
    "a formula with TeX outside of it": r'<div class="math">\[x\] \tag{3.2}</div>',
    "Eq. (3.2) is no link": "<p>by Eq. (3.2)</p>",
    "a link inside a link": '<a href="b.html">x <a href="b.html">y</a></a>',
    "a link was put into an attribute": '<img src="i.png" alt="<a class=equation>">',
}


def site(folder, page):
    """Write a site of two pages."""
    (folder / "a.html").write_text(page)
    (folder / "b.html").write_text('<p id="there">here</p>')
    (folder / "a.css").write_text("p { color: red }")
    (folder / "i.png").write_bytes(b"")
    return folder


def test_a_sound_site_has_no_fault(tmp_path):
    pages, faults = crawl.crawl(site(tmp_path, GOOD))
    assert faults == []
    assert sum(page.cited for page in pages.values()) == 1


@pytest.mark.parametrize("sentence", FAULTS)
def test_every_fault_of_a_page_is_named(tmp_path, sentence):
    page = GOOD.replace("</body>", FAULTS[sentence] + "</body>")
    _, (fault, *others) = crawl.crawl(site(tmp_path, page))
    assert fault.startswith("a.html: ") and sentence in fault
    assert others == []


def test_a_stylesheet_that_loads_from_elsewhere_is_named(tmp_path):
    folder = site(tmp_path, GOOD)
    (folder / "a.css").write_text("@font-face { src: url('https://x.org/f.woff') }")
    assert crawl.crawl(folder)[1] == ["a.css: loads from elsewhere"]


def test_an_empty_site_fails(tmp_path, capsys):
    assert crawl.main(tmp_path) == 1
    assert crawl.main(site(tmp_path, GOOD)) == 0
    assert "2 pages, 3 links, 1 cited equations, 0 faults" in capsys.readouterr().out


def test_every_module_stands_in_the_list_of_the_api():
    page = (ROOT / "docs" / "api.md").read_text()
    names = [*api_pages.modules(), "minimamba.new", "minimamba.room", "minimamba.room.door"]
    listed = re.findall(r"^api/(\S+)$", api_pages.complete(page, names), re.MULTILINE)
    assert len(listed) == len(set(listed))
    for name in (n.removeprefix("minimamba.") for n in names):
        assert sum(fnmatch(name, entry) for entry in listed) == 1, name


def test_every_page_of_the_api_that_a_table_links_to_is_written():
    text = tables.equation_table() + tables.op_table() + tables.other_table()
    linked = {f"minimamba.{name}" for name in re.findall(r"\(api/(\S+?)\.rst\)", text)}
    assert "minimamba.oracle.truth.scan" in linked and linked <= set(api_pages.modules())


def test_every_op_has_a_row_of_shapes():
    rows = [line.split("|")[1].strip(" `") for line in shapes.shape_table().splitlines()[2:]]
    names = [f[0].name for f in traceability.families() if f[0].module.startswith("ops")]
    assert set(rows) == set(names) - {"selective_scan_last"}  # its case stands with the blocks


def test_the_tables_of_results_hold_every_program_and_every_file():
    scan = measured.load("selective_scan")["results"]
    for result in scan:
        assert f"{result['forward']['minimamba']['ratio']:.3g}" in measured.scan_results()
    for program in measured.load("training_step")["results"][0]["programs"]:
        assert f"| {program} |" in measured.step_results()
    for length in measured.load("length")["lengths"]:
        assert f"| {int(length):,} |" in measured.length_results()
    files = [p for folder in measured.FOLDERS for p in (ROOT / folder).rglob("*.json")]
    assert all(f"`{p.relative_to(ROOT)}`" in measured.result_files() for p in files)
    page = (ROOT / "docs" / "results.md").read_text()
    assert all(
        f"{{{name}-{kind}}}" in page
        for name, kind in [
            ("scan", "results"),
            ("step", "results"),
            ("length", "results"),
            ("result", "files"),
        ]
    )


def test_every_paper_that_is_cited_stands_in_the_bibliography():
    listed = (ROOT / "docs" / "bibliography.md").read_text()
    cited = re.compile(r"arXiv[: ](\d{4}\.\d{5})", re.IGNORECASE)
    places = (
        "minimamba/**/*.py",
        "tutorials/source/*.md",
        "docs/*.md",
        "*.md",
        "benchmarks/**/*.py",
    )
    found = {n for place in places for p in ROOT.glob(place) for n in cited.findall(p.read_text())}
    assert found and sorted(n for n in found if n not in listed) == []


def test_make_tutorials_opens_the_index_as_a_page():
    target = re.search(
        r"^tutorials:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    folder = re.search(r"app_settings_dir=(\S+)", target[1])[1]
    overrides = json.loads((ROOT / folder / "overrides.json").read_text())
    viewers = overrides["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"]
    assert viewers["markdown"] == "Markdown Preview"
    assert "default_url=/lab/tree/README.md" in target[1] and "notebook-dir=tutorials" in target[1]
