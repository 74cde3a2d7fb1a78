# `make demo` and `make test` do everything from nothing; the rest is for those who change the code.
export SLOTWIRE_VENV ?= .venv
PORT ?= 8080
RESET ?=

.PHONY: demo test check web lock help
help:
	@echo "make demo    everything, ready to try, on http://127.0.0.1:$(PORT)  (PORT=, RESET=1)"
	@echo "make test    the whole suite"
	@echo "make check   linters, types, import rules, schema"
	@echo "make web     GraphiQL, built from npm's packages (needs Node.js)"
	@echo "make lock    pin the packages anew"

demo:
	@scripts/setup demo
	@web/build.sh || echo "Going on without GraphiQL; everything else runs."
	@PORT=$(PORT) RESET=$(RESET) exec $(SLOTWIRE_VENV)/bin/python -m server demo

test:
	@scripts/setup dev
	@web/build.sh || echo "Going on without GraphiQL: its tests are reported as skipped."
	@scripts/test

check:
	@scripts/setup dev
	@scripts/check

web:
	@web/build.sh

lock:
	@scripts/setup dev
	@scripts/lock
