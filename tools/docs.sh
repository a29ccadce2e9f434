#!/usr/bin/env bash
# The documentation of modules, roles and filters as pages for a browser, in build/docs/html.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/setup.sh" docs
export HOME=$SCRATCH_HOME
sources=$BUILD/docs/rst pages=$BUILD/docs/html
rm -rf "$BUILD/docs"
mkdir -p "$HOME" "$sources"

antsibull-docs collection --use-current --squash-hierarchy --fail-on-error --dest-dir "$sources" kubevirt.lifecycle
sphinx-build -q -W --keep-going -c tools/docs "$sources" "$pages"
say "Open $pages/index.html."
