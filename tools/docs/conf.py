# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Sphinx builds the pages that antsibull-docs writes. Nothing is asked of the internet, neither now nor by a reader."""

project = "kubevirt.lifecycle"
copyright = "the kubevirt.lifecycle maintainers"
extensions = ["sphinx_antsibull_ext"]
html_theme = "alabaster"
html_theme_options = {"page_width": "68rem"}
html_sidebars = {"**": ["about.html", "searchbox.html"]}
html_show_sphinx = False
# Options that come from kubernetes.core lead to its own pages, which are not built here.
suppress_warnings = ["ref.ref"]
