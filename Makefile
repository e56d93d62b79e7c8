# Every target but help and clean first sees to it that the machine has what it needs (scripts/setup.sh).
bin := .venv/bin
# Where it is set, pytest would rewrite every test's asserts anew, in every process of each `make unit`: a sixth of its time.
unexport PYTHONDONTWRITEBYTECODE

# Network namespaces need root. $(1): the command, as root or through sudo.
define as_root
if [ "$$(id -u)" = 0 ]; then exec $(1); \
elif command -v sudo >/dev/null; then exec sudo $(1); \
else echo "make $@ needs root or sudo, and there is neither." >&2; exit 2; fi
endef

.PHONY: help run test test-all test-browser test-faults test-vagrant test-kubernetes unit coverage mutants fuzz bench accuracy docs outputs man dist release lint setup clean

help:  ## print the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: setup  ## what VXLAN costs between two nodes, in a minute, as table and page; ARGS='...' adds options of harness run (as root)
	@$(call as_root,$(bin)/harness run --plan answer --report $(ARGS))

# -n 4 below: more at a time than CPUs, for a lab test waits now and then.
pytest := $(bin)/python -m pytest --dist loadfile --no-loadscope-reorder

test test-all: WITH = --docker --tshark
test: lint  ## lint, then the unit tests and those of the local lab on the real kernel (as root)
	@$(call as_root,$(pytest) -n 4 -m "not browser and not other_labs" $(ARGS))

test-all: lint  ## test, and the labs of other kinds: own hosts, pairs, routers, Docker, Swarm, Kubernetes; what CI runs (as root)
	@$(call as_root,$(pytest) -n 4 -m "not browser" $(ARGS))

test-browser: WITH = --browser
test-browser: setup  ## pages of runs in headless Chromium: errors, requests, widths, contrast (Debian)
	@$(bin)/python -m pytest -m browser tests/browser $(ARGS)

test-faults: setup  ## every fault at every moment of a run (docs/reliability.md); ARGS='--sample 12' for some (as root)
	@$(call as_root,$(bin)/python -m tests.faults.table $(ARGS))

test-vagrant: setup  ## every profile between two real virtual machines, from nothing (as root; docs/vagrant.md)
	@$(call as_root,$(bin)/python -m tests.vagrant.prove $(ARGS))

test-kubernetes: setup  ## a path of a real cluster's, found and measured, from nothing (as root; docs/kubernetes.md)
	@$(call as_root,$(bin)/python -m tests.kubernetes.prove $(ARGS))

unit: setup  ## only the tests that need neither root nor a network
	@$(pytest) -n auto $(ARGS)

coverage: setup  ## how much of the program the unit tests reach: 90 % of branches, 95 % of parsers' (docs/tests.md)
	@rm -rf .coverage
	@mkdir .coverage
	@$(bin)/coverage run -m pytest -q -n 2 tests/unit $(ARGS)
	@$(bin)/coverage combine -q
	@$(bin)/coverage json -q -o .coverage/report.json
	@$(bin)/python -m tests.reached .coverage/report.json

mutants: setup  ## change harness/truth in each way that mutmut knows, and see whether a test notices (docs/tests.md)
	@rm -rf mutants
	@$(bin)/mutmut run --max-children 2 >/dev/null
	@$(bin)/python -m tests.mutated

fuzz: setup  ## changed input for everything that reads what others wrote; ARGS='--cases 10000' for less than a million
	@$(bin)/python -m tests.fuzz $(ARGS)

bench: setup  ## time what the harness adds to measuring; ARGS='...' adds options of harness run (as root)
	@$(call as_root,$(bin)/python -m tests.bench.overhead $(ARGS))

accuracy: setup  ## the statistics against simulated figures, about three minutes; ARGS='--sets 200' for fewer
	@$(bin)/python -m tests.accuracy.simulate $(ARGS)

docs: setup  ## the site of docs/ into build/site/, offline; a warning fails it, such as a link that leads nowhere
	@$(bin)/python -m scripts.docs.build build/site

outputs: setup  ## print the outputs in README and docs/ anew, those that kept runs give
	@$(bin)/python -m scripts.docs.outputs

man: setup  ## man pages into man/, made from the commands' own help
	@rm -rf man
	@$(bin)/python scripts/man.py man

dist: man  ## wheel and sdist into dist/, which need no checkout (docs/install.md)
	@rm -rf dist
	@$(bin)/python -m build --no-isolation --outdir dist .

release: setup  ## a release without publishing: checks, builds twice, tries the wheel out, prints what would publish it
	@$(bin)/python scripts/release.py

# ansible-lint looks for ansible on PATH and for modules in ANSIBLE_LIBRARY, and ansible refuses a locale that is not UTF-8.
lint: setup  ## ruff, mypy, yamllint, ansible-lint
	@$(bin)/ruff check --output-format concise
	@$(bin)/ruff format --check
	@$(bin)/mypy
	@$(bin)/yamllint --strict .
	@PATH="$(CURDIR)/$(bin):$$PATH" LC_ALL=C.UTF-8 ANSIBLE_LIBRARY=playbooks/library $(bin)/ansible-lint --offline -q

setup:  ## install what is missing and build .venv; WITH=--docker: a Docker daemon too, which stays off; --tshark; --browser
	@scripts/setup.sh $(WITH)

clean:  ## remove .venv and caches; results stay
	@rm -rf .venv .ansible .coverage build dist man mutants .mypy_cache .pytest_cache .ruff_cache *.egg-info
	@find harness playbooks scripts tests -type d -name __pycache__ -prune -exec rm -rf {} +
