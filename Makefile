# What people and CI run; nothing else does anything that is not here.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo

PROGRAMS = supervise svscan svc svok svstat svcstart svcstop svcreset svcrestart svclog svctimeline multilog tai64n tai64nlocal readproctitle svscanboot \
           setuidgid envuidgid envdir softlimit setlock fghack pgrphack
# All are one static file under many names, at a fixed place in memory: that starts
# faster and leaves more memory shared. What nsswitch.conf names can be loaded by a
# dynamic program only: setuidgid and envuidgid become this one where it must be asked.
DYNAMIC = daemontools-rs-nss
# Less is inlined than by default: a tenth smaller, and multilog and tai64n are no slower.
INLINE_FLAGS = -C llvm-args=-inline-threshold=25
# What is written begins a page of its own: how many pages that are hangs on nothing else.
# The index of the unwind tables is for exceptions: a panic aborts, and is as well reported
# without it.
STATIC_FLAGS = $(INLINE_FLAGS) -C target-feature=+crt-static -C relocation-model=static \
               -C link-arg=-Wl,-z,separate-loadable-segments -C link-arg=-Wl,--no-eh-frame-hdr
# libgcc_s is one library more to load at each start: its static half takes its place.
DYNAMIC_FLAGS = $(INLINE_FLAGS) -C opt-level=s -L native=target/link
# lld merges equal functions: a hundredth smaller. Other linkers do not know the option.
MERGE = -C link-arg=-Wl,--icf=all
MERGE_FLAGS = $(shell mkdir -p target; echo 'fn main() {}' | \
               rustc - -o target/merge $(MERGE) 2>/dev/null && echo '$(MERGE)')
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
PROFILE = release
OUT = $(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
BUILT = target/bin

bindir = $(DESTDIR)$(PREFIX)/bin
mandir = $(DESTDIR)$(PREFIX)/share/man/man8
datadir = $(DESTDIR)$(PREFIX)/share/daemontools-rs

.PHONY: all build check needs lint static test soak doc armv7 cross man demo bench install uninstall clean

all: build

build:
	RUSTFLAGS="$(STATIC_FLAGS) $(MERGE_FLAGS)" $(CARGO) build --profile $(PROFILE) --locked --bin daemontools-rs \
		--target $(HOST) --target-dir target/static
	mkdir -p target/link $(BUILT)
	echo 'INPUT(-lgcc_eh -lgcc)' > target/link/libgcc_s.so
	RUSTFLAGS="$(DYNAMIC_FLAGS) $(MERGE_FLAGS)" $(CARGO) build --profile $(PROFILE) --locked --bin $(DYNAMIC) \
		--target-dir target/dynamic
	ln -f target/static/$(HOST)/$(OUT)/daemontools-rs target/dynamic/$(OUT)/$(DYNAMIC) $(BUILT)/
	for program in $(PROGRAMS); do ln -f $(BUILT)/daemontools-rs $(BUILT)/$$program || exit 1; done

# Everything that must hold: installs what the tests need (as root), then
# format, lints, the documentation of the library, all tests, and that it compiles
# for a processor of 32 bits.
check: needs lint doc test armv7

needs:
	tools/install-needs test

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings

# The programs linked as they are installed, but not built for speed: some tests take
# these. The file `built` says to the tests that no source is newer.
static:
	mkdir -p target/tmp/static
	touch target/tmp/static/begun
	$(MAKE) -s build PROFILE=dev BUILT=target/tmp/static
	mv target/tmp/static/begun target/tmp/static/built

# One test: make static, then `cargo test --test suite NAME`.
test: static
	$(CARGO) test --locked

# Services under load whose processes are killed at random, for so many seconds; the tests
# do it for a minute. SEED replays the decisions of a run; KINDS: only these, see tests/soak/plan.rs.
SECONDS = 600
SEED =
KINDS =
soak:
	SOAK_SECONDS=$(SECONDS) SOAK_SEED=$(SEED) SOAK_KINDS=$(KINDS) \
		$(CARGO) test --locked --test suite soak::a_tree -- --nocapture

# For developers: a link to what is pub(crate) is none too many.
doc:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --locked --no-deps --document-private-items

# As an ordinary user without Debian's compiler: says so, and does nothing.
armv7:
	if dpkg-query -W -f '$${Status}' rust-web-src 2>/dev/null | grep -q ' ok installed' || \
		[ -n "$$REQUIRE_ALL_TESTS" ]; then \
		tools/cross check armv7; \
	else echo "SKIPPED armv7: rustc-web, cargo-web and rust-web-src are not installed" >&2; fi

# The programs for aarch64 and armv7, in target/cross, played under qemu.
cross:
	tools/install-needs cross
	tools/cross play

# Converts the pages in docs to man pages, after a change of a page. Needs go-md2man
# (tools/install-needs test), which builds and installs do not.
man:
	mkdir -p target
	for program in $(PROGRAMS); do \
		tools/man-page docs/$$program.md > target/man-page || exit 1; \
		cat target/man-page > docs/man/$$program.8; \
	done

# A small service tree that is killed, stopped and started before your eyes.
demo: build
	tools/demo $(BUILT)

# Ours beside the peers; writes docs/performance.md, and fails if a bound is broken.
# PARTS: only these, see benches/README.md; the page stays as it is then.
PARTS =
bench: build
	tools/install-needs bench
	BENCH_PROGRAMS=$(CURDIR)/$(BUILT) BENCH_PAGE=$(CURDIR)/docs/performance.md \
		$(CARGO) bench --locked --bench all -- $(PARTS)

# What stands there under our names and is not ours, a package's perhaps, is named.
install: build
	install -d $(bindir) $(mandir) $(datadir)
	for program in $(PROGRAMS); do \
		file=$(bindir)/$$program; \
		if [ -e $$file ] && ! [ $$file -ef $(bindir)/daemontools-rs ]; then \
			echo "install: warning: $$file is replaced: it was not part of daemontools-rs" >&2; \
		fi; \
	done
	install -m 755 $(BUILT)/daemontools-rs $(BUILT)/$(DYNAMIC) $(bindir)/
	for program in $(PROGRAMS); do ln -f $(bindir)/daemontools-rs $(bindir)/$$program || exit 1; done
	install -m 644 $(PROGRAMS:%=docs/man/%.8) $(mandir)/
	cp -R service-examples docs/boot $(datadir)/
	sed -i 's|/usr/local/|$(PREFIX)/|g' $(datadir)/boot/daemontools-rs.service $(datadir)/boot/inittab

# Removes what install made and nothing else; services and their directories stay.
uninstall:
	for program in $(PROGRAMS); do \
		! [ $(bindir)/$$program -ef $(bindir)/daemontools-rs ] || \
			rm -f $(bindir)/$$program $(mandir)/$$program.8 || exit 1; \
	done
	rm -f $(bindir)/daemontools-rs $(bindir)/$(DYNAMIC)
	rm -rf $(datadir)

clean:
	$(CARGO) clean
