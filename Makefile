# Two commands matter: `make demo` and `make test`. Everything else is for those who work on it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=

.PHONY: help demo test test-fast check editors pictures schemas format vsix release bench bench-decode bench-drafters bench-guessers \
        bench-infilling bench-pair bench-switching bench-llama bench-scaling bench-accuracy bench-attention bench-ngrams bench-context bench-indentation bench-typing bench-vscode bench-memory \
        bench-monitors bench-rules bench-gpu clean

help:           ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 18

$(STAMP): pyproject.toml constraints.txt
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The four packages live in top-level folders; type checker and import-linter need to see them
# under the names they are installed by.
.build/ns/.stamp: Makefile
	@mkdir -p .build/ns/polydraft
	@for p in lsp_server completion monitors models; do ln -sfn ../../../$$p .build/ns/polydraft/$$p; done
	@touch $@

demo: $(STAMP)  ## fetch the default model (once) and complete a file of this repository
	@$(BIN)/polydraft complete --demo

test: $(STAMP)  ## the whole suite, real weights and installed editors included
	@$(BIN)/python -m pytest $(ARGS)

test-fast: $(STAMP) ## the suite without real weights and without editors
	@$(BIN)/python -m pytest -m 'not weights and not editors' $(ARGS)

editors: $(STAMP) ## install the editors that tests drive, beside the models (1 GB; once)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt playwright
	@$(BIN)/python -m tests.editors.toolchain

pictures: $(STAMP) editors ## the pictures of docs anew: the demo, VS Code, Neovim on a terminal
	@$(BIN)/python docs/make_picture.py
	@POLYDRAFT_REQUIRE_EDITORS=1 POLYDRAFT_WRITE_PICTURES=1 $(BIN)/python -m pytest tests/editors -k 'cycling or side_by_side or switched_in_the_menu or five_commands' $(ARGS)

schemas: $(STAMP) ## write the settings into the VS Code extension's package.json and schema
	@$(BIN)/python editor-clients/vscode/contributions.py

check: $(STAMP) .build/ns/.stamp ## lint, format, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@MYPYPATH=.build/ns $(BIN)/mypy -p polydraft
	@PYTHONPATH=.build/ns $(BIN)/lint-imports --no-cache

format: $(STAMP) ## format and fix what ruff can fix
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

vsix: $(STAMP)  ## build the VS Code extension, with a Node of its own
	@$(BIN)/python -m tests.editors.toolchain vsix

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
release: $(STAMP) ## what a release consists of, into dist/: wheel, sdist, .vsix, Neovim client
	@git diff --quiet HEAD || { echo "Commit first: dist/ is made of what is committed." >&2; exit 1; }
	@rm -rf build dist
	@$(BIN)/python -m build --outdir dist >/dev/null
	@cp "$$($(BIN)/python -m tests.editors.toolchain vsix)" dist/polydraft-$(VERSION).vsix
	@git archive --format=tar.gz --prefix=polydraft.nvim/ -o dist/polydraft.nvim-$(VERSION).tar.gz HEAD:editor-clients/neovim
	@ls -l dist

bench: bench-decode ## the main benchmark

bench-decode: $(STAMP) ## k drafts against one, and against transformers
	@$(BIN)/python -m benchmarks.decode $(ARGS)

bench-drafters: $(STAMP) ## quality and cost of every drafting method (--k 3, --k 8)
	@$(BIN)/python -m benchmarks.drafters $(ARGS)

bench-guessers: $(STAMP) ## a greedy draft with each guesser (--model NAME; --layers: what can be skipped)
	@$(BIN)/python -m benchmarks.guessers $(ARGS)

bench-infilling: $(STAMP) ## missing lines against the functions' tests (--data FILE): pass@1, pass@k
	@$(BIN)/python -m benchmarks.infilling $(ARGS)

bench-pair: $(STAMP) ## the switching policies of the model pair (--data FILE): quality, time, counted work
	@$(BIN)/python -m benchmarks.pair $(ARGS)

bench-switching: $(STAMP) ## quality against cost over the thresholds, with random switching (--data FILE)
	@$(BIN)/python -m benchmarks.switching_curve $(ARGS)

bench-llama: $(STAMP) ## steps and drafts against llama.cpp (--llama-python PATH)
	@$(BIN)/python -m benchmarks.llama $(ARGS)

bench-scaling: $(STAMP) ## cost against the prompt's length and against k
	@$(BIN)/python -m benchmarks.scaling $(ARGS)

bench-accuracy: $(STAMP) ## next-token accuracy of the weight formats
	@$(BIN)/python -m benchmarks.accuracy $(ARGS)

bench-attention: $(STAMP) ## shared-prefix attention against one masked call
	@$(BIN)/python -m benchmarks.attention $(ARGS)

bench-ngrams: $(STAMP) ## the workspace's n-grams: memory, speed, and whether they are right
	@$(BIN)/python -m benchmarks.ngrams $(ARGS)

bench-indentation: $(STAMP) ## drafts on a line that the editor has indented: is their depth right
	@$(BIN)/python -m benchmarks.indentation $(ARGS)

bench-context: $(STAMP) ## what text of other files buys where it is needed, and costs
	@$(BIN)/python -m benchmarks.context $(ARGS)

bench-typing: $(STAMP) ## real lines typed at human rhythm: latency, model calls, right drafts
	@$(BIN)/python -m benchmarks.typing_replay $(ARGS)

bench-vscode: $(STAMP) editors ## from a key to ghost text in a real VS Code: what the client adds
	@$(BIN)/python -m benchmarks.vscode $(ARGS)

bench-memory: $(STAMP) ## what models take in memory, against what is said before
	@$(BIN)/python -m benchmarks.memory $(ARGS)

bench-monitors: $(STAMP) ## names behind dereferences with and without monitors (--language NAME)
	@$(BIN)/python -m benchmarks.monitors $(ARGS)

bench-rules: $(STAMP) ## what each monitor would hinder of real code, and what it costs
	@$(BIN)/python -m benchmarks.rules $(ARGS)

bench-gpu: $(STAMP) ## steps, passes and k drafts on a GPU, with random weights of the real shapes
	@$(BIN)/python -m benchmarks.gpu $(ARGS)

clean:
	rm -rf .build build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
