# What people and CI run; nothing else does anything that is not here.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo

PROGRAMS = supervise svscan svc svok svstat svcstart svcstop svcreset svcrestart multilog tai64n tai64nlocal readproctitle svscanboot
BUILT = target/release

bindir = $(DESTDIR)$(PREFIX)/bin
mandir = $(DESTDIR)$(PREFIX)/share/man/man8
datadir = $(DESTDIR)$(PREFIX)/share/daemontools-rs

.PHONY: all build check needs lint test doc man demo bench install clean

all: build

build:
	$(CARGO) build --release --locked --bins

# Everything that must hold: installs what the tests need (as root), then
# format, lints, all tests, and the documentation of the library.
check: needs lint test doc

needs:
	tools/install-needs test

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

test:
	$(CARGO) test --locked

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

# The man pages say what docs says; after a change of a page, make them anew.
man:
	touch $(PROGRAMS:%=docs/man/%.8)
	for program in $(PROGRAMS); do \
		tools/man-page docs/$$program.md > docs/man/$$program.8 || exit 1; \
	done

# A small service tree that is killed, stopped and started before your eyes.
demo: build
	tools/demo $(BUILT)

bench: build
	tools/install-needs bench
	$(CARGO) bench --locked --bench system
	$(CARGO) bench --locked --bench logs

install: build
	install -d $(bindir) $(mandir) $(datadir)
	for program in $(PROGRAMS); do \
		install -m 755 $(BUILT)/$$program $(bindir)/ && \
		install -m 644 docs/man/$$program.8 $(mandir)/ || exit 1; \
	done
	cp -R service-examples docs/boot $(datadir)/

clean:
	$(CARGO) clean
