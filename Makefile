# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help demo test test-full unit coverage browser docs lint sanity lab-test molecule bench bench-fleet faults rbac release-check audit clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: ## Upgrade a real KubeVirt with VMs on the embedded lab (root on Linux, Go); REAL_GUESTS=1: with guests that run
	@REAL_GUESTS=$(REAL_GUESTS) tools/demo.sh

test: ## All that a change must pass: lint, unit and sanity on every supported ansible-core, lab (root on Linux, Go)
	@tools/test.sh

test-full: ## The same with the report and the docs in a browser, and the long lab cases
	@tools/test.sh full

unit: ## Unit tests only, on any machine with Python; ARGS="-k name" picks some
	@tools/unit.sh $(ARGS)

coverage: ## The same with the lines and branches of knowledge/ and operations/ that they do not reach; fails where knowledge/ is not whole
	@tools/coverage.sh

browser: ## Look at the report on a fleet, and at the docs, in a headless Chromium; the screenshots go to build/
	@tools/browser.sh $(ARGS)

docs: ## Build the pages of modules and roles; they are in build/docs/html/
	@tools/docs.sh

lint: ## ruff, mypy, bandit, shellcheck, yamllint, ansible-lint, changelog fragments, documentation
	@tools/lint.sh

sanity: ## ansible-test sanity; ARGS="2.16.19 2.21.5" picks versions of ansible-core
	@tools/sanity.sh $(ARGS)

lab-test: ## Contract and lab tests only; ARGS="-k name" picks some (root on Linux, Go)
	@tools/lab-test.sh $(ARGS)

molecule: ## The molecule scenarios on the lab (root on Linux, Go)
	@tools/molecule.sh $(ARGS)

bench: ## Measure what an upgrade costs, in some 20 minutes (root on Linux, Go); ARGS=--save puts the table into docs/benchmarks.md
	@tools/bench.sh $(ARGS)

bench-fleet: ## Measure what 200 simulated clusters in one run cost, in some 40 minutes (root on Linux, Go); ARGS=--save as above
	@tools/bench-fleet.sh $(ARGS)

faults: ## Play every fault in every phase of an upgrade, and write docs/fault-matrix.md (root on Linux, Go); ARGS="429" picks some
	@tools/faults.sh $(ARGS)

rbac: ## Write docs/rbac, the role of each playbook
	@tools/rbac.sh

release-check: ## All that a release must pass: tarball, galaxy-importer, changelog, a run from an empty place (the last part: root on Linux, Go)
	@tools/release-check.sh

audit: ## Known vulnerabilities of the Python packages in tools/constraints.txt (needs the real PyPI)
	@tools/audit.sh

clean: ## Remove build/: the virtual environment, the vendored collection, all results
	rm -rf build .ansible
