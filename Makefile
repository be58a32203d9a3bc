# Two commands people remember: `make demo` and `make test`.

VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
PYTHON ?= $(shell for p in python3.11 python3.10 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; \
	sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' 2>/dev/null \
	&& command -v $$p && break; done)
SEED ?= 0
TASK ?= detection
JOBS ?= 2
WORKDIR ?= runs/demo$(if $(filter segmentation,$(TASK)),_segmentation)
MINI := mini$(if $(filter segmentation,$(TASK)),_segmentation)
DEMO := configs/demo/digits$(if $(filter segmentation,$(TASK)),_segmentation)_student.yaml

.PHONY: demo mini known-task mini-data notebooks test test-all lint docs clean

## Teacher, pseudo labels, student, control and report, on embedded data; with
## TASK=segmentation, of a model that says a class for every pixel.
demo: known-task $(READY)
	@test -f data/digits/test/dataset.json || \
		$(RUN) tools/make_records.py --source digits --output data/digits --overwrite
	$(RUN) tools/self_train.py --config $(DEMO) --workdir $(WORKDIR) --set seed=$(SEED)

## The paper's claims in miniature, on embedded data, in JOBS processes; with QUICK=1, its
## short form, and with TASK=segmentation, with a class for every pixel. The same command
## goes on where a stopped one was.
mini: known-task mini-data
	$(RUN) tools/grid.py --preset $(MINI) --processes $(JOBS) $(if $(QUICK),--quick) \
		--workdir runs/$(MINI)$(if $(QUICK),_quick)

known-task:
	@test "$(TASK)" = detection -o "$(TASK)" = segmentation || \
		{ echo "TASK must be detection or segmentation, got $(TASK)."; exit 1; }

mini-data: $(READY)
	@test -f data/digits/test/dataset.json || \
		$(RUN) tools/make_records.py --source digits --output data/digits --overwrite
	@test -f data/letters/val/dataset.json || \
		$(RUN) tools/make_records.py --source letters --output data/letters --overwrite
	$(RUN) tools/make_split.py --records 'data/digits/train/*.tfrecord' \
		--fractions 2.5,10,50 --ensure_classes --output data/digits/mini

## Runs the notebooks of docs/notebooks and keeps what they gave.
notebooks: $(READY)
	$(RUN) -m pip install --quiet -c constraints.txt nbclient ipykernel
	rm -rf runs/notebook_*
	PATH="$(abspath $(VENV))/bin:$$PATH" python docs/run_notebooks.py \
		docs/notebooks/*.ipynb

## The tests that CI runs, in JOBS processes of up to 5 GB each. A file stays in one, so
## that what its tests share is made once.
test: $(READY)
	$(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

## The long ones too.
test-all: $(READY)
	$(RUN) -m pytest -m "slow or not slow"

## The documentation as a site, in site/; a dead link is an error.
docs: $(READY)
	$(RUN) -m mkdocs build --strict

lint: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

clean:
	rm -rf $(VENV) site runs/demo* runs/mini* data/digits data/letters

$(READY): setup.py constraints.txt
	@test -n "$(PYTHON)" || { echo "st_keras needs Python 3.10 or 3.11 and found \
	neither: install one, or name it with \`make $(MAKECMDGOALS) PYTHON=/path\`."; \
	exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in \
	((3, 10), (3, 11)))' || { echo "st_keras needs Python 3.10 or 3.11, got \
	$$($(PYTHON) --version): name another with \`make $(MAKECMDGOALS) \
	PYTHON=/path\`."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(RUN) -m pip check
	@touch $@
