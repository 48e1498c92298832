"""Sphinx's settings: the source is the repository's root, so that tutorials stay where they are."""

import logging
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "minimamba"
author = "the minimamba authors"
copyright = "2026, the minimamba authors"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "equations",
    "tables",
    "measured",
    "shapes",
    "api_pages",
]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/api/*.rst", "tutorials/[0-9]*.ipynb", "tutorials/README.md"]
exclude_patterns = ["docs/_build", "**/.ipynb_checkpoints"]
# Sphinx would walk through all folders of the root, among them the packages in .venv.
exclude_patterns += [".[a-z]*", "benchmarks", "build", "minimamba", "runs", "tests"]
default_role = "literal"

nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 180
# The notebooks' kernels start with these settings, not with the reader's own, and say errors only.
os.environ["IPYTHONDIR"] = str(HERE / "_build" / "ipython")
PROFILE = HERE / "_build" / "ipython" / "profile_default"
PROFILE.mkdir(parents=True, exist_ok=True)
(PROFILE / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n")
logging.getLogger("traitlets").setLevel(logging.WARNING)
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
napoleon_use_param = False

# One file of MathJax, taken by `make docs`, makes the site readable from disk.
if (HERE / "_static" / "tex-svg-full.js").exists():
    mathjax_path = "tex-svg-full.js"

html_theme = "furo"
html_title = "minimamba"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0059a0",
        "color-brand-content": "#0059a0",
        "content-padding": "2em",
    },
    "dark_css_variables": {"color-brand-primary": "#7ab8ec", "color-brand-content": "#7ab8ec"},
}


def _front_door(app, error):
    """Let index.html of the site lead to its first page."""
    if error is None and app.builder.format == "html":
        page = '<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html">'
        page += '<a href="docs/index.html">minimamba</a>\n'
        (Path(app.outdir) / "index.html").write_text(page)


def setup(app):
    """Add the front door."""
    app.connect("build-finished", _front_door)
