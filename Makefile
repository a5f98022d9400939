# What can be done here. Everything but `help` needs a Rust toolchain, and nothing else that it does
# not install itself.
CARGO ?= cargo

.PHONY: help demo test test-long bench lint toolchain
.DEFAULT_GOAL := help

help:
	@echo 'make demo       shows the whole loop on a real server; KEEP=1 leaves it running'
	@echo 'make test       runs every test, also against real Prosody and ejabberd'
	@echo 'make test-long  the same with larger numbers, and what ordinary chat clients show'
	@echo 'make bench      measures the link and the web face, beside others, and the store'
	@echo 'make lint       checks format, lints, documentation, dependencies and architecture'

demo: toolchain
	@tests/install.sh prosody
	@$(CARGO) build --locked --bins --example demo
	@KEEP='$(KEEP)' $(CARGO) run --locked --quiet --example demo

test: toolchain
	@tests/install.sh prosody ejabberd dbus-daemon browser
	@tests/third-parties/install.sh
	$(CARGO) test --locked

test-long: toolchain
	@tests/install.sh prosody ejabberd dbus-daemon browser clients
	@tests/third-parties/install.sh
	VESTIBULE_TEST_LONG=1 $(CARGO) test --locked
	$(CARGO) test --locked --test clients -- --test-threads=1

bench: toolchain
	@tests/install.sh prosody ejabberd webpresence
	@$(CARGO) build --locked --release --example pipeline
	@CARGO='$(CARGO)' tests/bench/peers/install.sh
	$(CARGO) bench --locked --bench link
	$(CARGO) bench --locked --bench store
	$(CARGO) bench --locked --bench web

lint: toolchain
	@$(CARGO) fmt --version >/dev/null 2>&1 || { \
	  echo 'rustfmt is missing: rustup component add rustfmt' >&2; exit 1; }
	@$(CARGO) clippy --version >/dev/null 2>&1 || { \
	  echo 'clippy is missing: rustup component add clippy' >&2; exit 1; }
	@tests/install.sh
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test clients -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items
	$(CARGO) test --locked --test suite -- dependencies:: architecture::

toolchain:
	@command -v $(CARGO) >/dev/null || { \
	  echo 'cargo is missing: install Rust 1.89 or newer, see https://rustup.rs' >&2; exit 1; }
