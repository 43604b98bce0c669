# The commands of a contributor. `make` alone builds.

PREFIX = /usr
DESTDIR =
CARGO = cargo
TARGET = $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
RELEASE = $(TARGET)/release/clusterctl
# A program that is built already can be named: `make install BINARY=…`, `make deb BINARY=…`.
BINARY = $(RELEASE)
built = $(if $(filter $(RELEASE),$(BINARY)),build)
INSTALL = install
# Where zsh looks: Debian's reads another folder below /usr.
debian = $(and $(filter /usr,$(PREFIX)),$(wildcard /etc/debian_version))
zsh = $(PREFIX)/share/zsh/$(if $(debian),vendor-completions,site-functions)

.PHONY: all build deps check check-long bless demo demo-live demo-pm2 picture bench install install-program \
	install-docs rust deb rpm arch dist clean

export CARGO TARGET

all build: rust
	$(CARGO) build --release

rust:
	@packaging/rust.sh

# Installs what the tests need and is missing.
deps: rust
	@tests/support/deps.sh

# Formats, lints and tests everything, on systems booted for it too.
check: deps
	tests/support/check.sh

# The tests that take hours as well.
check-long: check
	tests/support/check-long.sh

# Rewrites the expected output of tests; read the diff.
bless:
	UPDATE_EXPECT=1 $(CARGO) test --workspace

# demo-live stays until Ctrl-C; demo-pm2 does the same to PM2 and shows it beside.
demo demo-live demo-pm2:
	@tests/support/demo.sh $@

# Takes the picture of the README anew: the demo, in a terminal.
picture: rust
	@tests/support/install.sh picture
	$(CARGO) test --test generated -- --ignored picture::take

bench: rust
	@tests/support/install.sh bench
	$(CARGO) bench --bench bench

install: install-program install-docs

# Installs what `make` has built, so that root needs no Rust.
install-program: $(if $(wildcard $(BINARY)),,$(built))
install-program install-docs:
	BINARY="$(BINARY)" PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" ZSH="$(zsh)" INSTALL="$(INSTALL)" \
		packaging/install.sh $(@:install-%=%)

# Packages end up in target/package.
deb rpm arch: $(if $(built),rust)
	@tests/support/install.sh $@
	$(if $(built),$(MAKE) build)
	packaging/build.sh $@ "$(BINARY)"

# Everything of a release, for x86_64 and aarch64, in target/dist.
dist: rust
	@tests/support/install.sh $@
	packaging/dist.sh

clean:
	$(CARGO) clean
