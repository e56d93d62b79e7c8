"""Sphinx's settings for the site; `build` hands the pages over."""

project = "vxlan-harness"
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_heading_slug_func = "github"
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_permalinks_icon = "#"
highlight_language = "text"
pygments_style = "default"
language = "en"
smartquotes = False  # two hyphens are an option, not a dash
html_static_path = ["static"]
html_css_files = ["site.css"]
