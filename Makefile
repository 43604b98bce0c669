# Everything a contributor runs. `make` alone builds.

PREFIX = /usr
DESTDIR =
CARGO = cargo
TARGET = $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
RELEASE = $(TARGET)/release/clusterctl
INSTALL = install
share = $(DESTDIR)$(PREFIX)/share

.PHONY: all build deps check check-long bless demo demo-live bench install clean

all: build

# Installs with apt-get what is missing; names it where that is not possible.
deps:
	@tests/support/install.sh check
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 || \
		rustup component add rustfmt clippy

build:
	$(CARGO) build --release

# Formats, lints and tests everything, on systems booted for it too.
check: deps
	tests/check.sh

# The scenarios of `check` on Debian testing as well.
check-long: check
	$(CARGO) test --test boot -- --ignored testing

# Rewrites the expected output of tests; read the diff.
bless:
	UPDATE_EXPECT=1 $(CARGO) test --workspace

demo: deps build
	PATH="$(abspath $(TARGET))/release:$$PATH" examples/demo.sh

# The same, and it stays until Ctrl-C.
demo-live: deps build
	PATH="$(abspath $(TARGET))/release:$$PATH" examples/demo.sh --live

bench:
	@tests/support/install.sh bench
	$(CARGO) bench --bench bench

# The program brings its handover files along and copies them where units can rely on them.
install: build
	$(INSTALL) -D -m 0755 $(RELEASE) $(DESTDIR)$(PREFIX)/bin/clusterctl
	for page in man/*.[1-8]; do \
		[ ! -e "$$page" ] || $(INSTALL) -D -m 0644 "$$page" \
			"$(share)/man/man$${page##*.}/$${page##*/}" || exit 1; \
	done
	for text in README.md CHANGELOG.md ARCHITECTURE.md LICENSE-MIT LICENSE-APACHE; do \
		[ ! -e "$$text" ] || $(INSTALL) -D -m 0644 "$$text" "$(share)/doc/clusterctl/$$text" || exit 1; \
	done
	$(INSTALL) -D -m 0644 packaging/ecosystem.schema.json $(share)/clusterctl/ecosystem.schema.json
	$(INSTALL) -D -m 0644 packaging/completions/clusterctl.bash $(share)/bash-completion/completions/clusterctl
	$(INSTALL) -D -m 0644 packaging/completions/_clusterctl $(share)/zsh/vendor-completions/_clusterctl
	$(INSTALL) -D -m 0644 packaging/completions/clusterctl.fish $(share)/fish/vendor_completions.d/clusterctl.fish

clean:
	$(CARGO) clean
