# make help lists the targets.
PREFIX   = /usr
DESTDIR  =
CARGO    = cargo

# Where cargo puts what it builds, also when a configuration or CARGO_TARGET_DIR says otherwise.
TARGET   = $${CARGO_TARGET_DIR:-target}/release
PROGRAMS = synchook syncpkgd syncpkgcd $(basename $(notdir $(wildcard src/bin/syncpkg-*.rs))) \
           $(basename $(notdir $(wildcard src/bin/syncweb.rs)))
UNITS    = $(wildcard packaging/systemd/*)
DOC      = $(DESTDIR)$(PREFIX)/share/doc/syncpkg
SCRIPTS  = .ci/run packaging/needs packaging/axe packaging/demo/run packaging/demo/play packaging/demo/upstream \
           packaging/hooks/post-receive packaging/hooks/webhook packaging/fst/unbuilt tests/mutants tests/hosts/gate.sh

build:                  ## compile everything
	$(CARGO) build --release --locked

demo:                   ## a farm in ./demo: push, build, mail, site (again: afresh)
	packaging/needs demo
	packaging/demo/run

test:                   ## all tests
	packaging/needs test
	$(CARGO) test --locked

screenshots:            ## pictures of the pages into SCREENSHOTS (target/screenshots)
	packaging/needs test
	SYNCPKG_SCREENSHOTS=$(abspath $(or $(SCREENSHOTS),target/screenshots)) \
		$(CARGO) test --locked --test browser -- --ignored takes_pictures

torture:                ## what takes minutes: killed and refused at every system call, raced by many processes
	packaging/needs torture
	SYNCPKG_TORTURE=all $(CARGO) test --release --locked --test torture -- --include-ignored --nocapture --test-threads=2
	$(CARGO) test --release --locked --test hosts -- --include-ignored --nocapture --test-threads=3
	PROPTEST_CASES=20000 $(CARGO) test --release --locked --test model -- --nocapture

replay:                 ## a month of a real farm in simulated time, with all that goes wrong at once; whether the account adds up
	$(CARGO) test --release --locked --test replay -- --include-ignored --nocapture --test-threads=1

# TREE is a git repository of FrugalBuilds, PRELUDE the file fwmakepkg, REVISION what of it is read.
agreement:              ## whether each recipe of TREE is read as a plain bash with PRELUDE reads it
	@test -n "$(TREE)" && test -n "$(PRELUDE)" || \
		{ echo 'agreement: say make agreement TREE=a-git-repository PRELUDE=its-fwmakepkg' >&2; exit 2; }
	SYNCPKG_TREE=$(TREE) SYNCPKG_PRELUDE=$(PRELUDE) SYNCPKG_REVISION=$(or $(REVISION),HEAD) \
		$(CARGO) test --release --locked --test agreement -- --ignored --nocapture

bench:                  ## what everything costs, beside the disk and others like it; leave the machine idle
	packaging/needs bench
	$(CARGO) build --release --locked
	for b in floor process peers wait memory flat expire recipes hook remote site log; do $(CARGO) bench --locked --bench $$b || exit 1; done

lint:                   ## formatting, clippy, licences and advisories, shell scripts
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	@if ! $(CARGO) deny --version >/dev/null 2>&1; then \
		echo 'lint: cargo-deny is not installed: licences and advisories were not checked'; \
	else \
		echo $(CARGO) deny check; $(CARGO) deny check bans licenses sources || exit 1; \
		if $(CARGO) deny fetch db >/dev/null 2>&1; then $(CARGO) deny check --disable-fetch advisories; \
		else echo 'lint: the advisories cannot be fetched: they were not checked'; fi; \
	fi
	@if command -v shellcheck >/dev/null; then echo shellcheck $(SCRIPTS); shellcheck $(SCRIPTS); \
	else echo 'lint: shellcheck is not installed: scripts were not checked'; fi

install:                ## programs, manual, units, examples; then install-master or install-builder
	install -d $(DESTDIR)$(PREFIX)/bin $(DOC)/hooks
	for p in $(PROGRAMS); do install -m 755 $(TARGET)/$$p $(DESTDIR)$(PREFIX)/bin/ || exit 1; done
	install -d $(DESTDIR)$(PREFIX)/lib/syncpkg/cgi
	ln -sf ../../../bin/syncweb $(DESTDIR)$(PREFIX)/lib/syncpkg/cgi/control
	for m in $(wildcard packaging/man/*.[1-8]); do \
		install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${m##*.} $$m || exit 1; done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system $(UNITS)
	install -D -m 644 packaging/sysusers.d/syncpkg.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/syncpkg.conf
	install -D -m 644 packaging/tmpfiles.d/syncpkg.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/syncpkg.conf
	install -m 644 packaging/syncpkg.toml packaging/tutorial.md packaging/apache/*.conf cron/* LICENSE-* $(DOC)/
	install -m 644 packaging/hooks/* $(DOC)/hooks/
	install -D -m 755 packaging/fst/unbuilt $(DOC)/fst/unbuilt

install-master: install-config  ## cron file of the host that receives pushes, sample configuration
	install -D -m 644 cron/syncpkg-master $(DESTDIR)/etc/cron.d/syncpkg-master

install-builder: install-config ## cron file of a host that builds, sample configuration
	install -D -m 644 cron/syncpkg-builder $(DESTDIR)/etc/cron.d/syncpkg-builder

# What the admin wrote is never overwritten.
install-config:
	install -d $(DESTDIR)/etc/syncpkg
	new=; test ! -e $(DESTDIR)/etc/syncpkg/syncpkg.toml || new=.new; \
	install -m 644 packaging/syncpkg.toml $(DESTDIR)/etc/syncpkg/syncpkg.toml$$new

clean:                  ## what was compiled, and the demo
	$(CARGO) clean
	packaging/demo/run --clean

help:                   ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 18

.PHONY: build demo test screenshots torture replay agreement bench lint install install-master install-builder install-config clean help
