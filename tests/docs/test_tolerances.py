"""The page on tolerances quotes what was measured."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows(page):
    return {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page}


def test_the_figures_on_the_page_are_those_of_the_study():
    page = rows((ROOT / "docs" / "tolerances.md").read_text().splitlines())
    study = json.loads((ROOT / "benchmarks" / "results" / "bound_study.json").read_text())
    for dtype, x in study["random"].items():
        figures = f"{x['largest']:.3f}", f"{x['median']:.3f}"
        assert (dtype, f"{x['cases']:,}", str(x["violations"]), *figures) in page
    for schedule, x in study["search"].items():
        assert (f"`{schedule}`", *(f"{share:.3f}" for share in x.values())) in page


def test_what_the_page_concludes_from_them_holds():
    study = json.loads((ROOT / "benchmarks" / "results" / "bound_study.json").read_text())
    assert sum(x["cases"] for x in study["random"].values()) == 100_000
    assert not any(x["violations"] for x in study["random"].values())
    assert all(1 / 3 < share < 1 for x in study["search"].values() for share in x.values())
