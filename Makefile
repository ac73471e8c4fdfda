# The commands of the project. A network is needed by `vendor`, `wheel`, `wheels`, `sdist` and the first `test` only.
PREFIX ?= /usr
PYTHON ?= python3
PYTHON_DIR ?= $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
CARGO ?= cargo
TARGET = $(or $(CARGO_TARGET_DIR),target)
DIST = dist
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
PYTEST = .cache/venv/bin/python -m pytest -ra
# For tests that wait most of the time. Those of a file stay together, as some build on each other; or each is on its own.
PARALLEL = -n 3 --dist loadfile
APART = -n 3 --dist worksteal
# The program that the tests run, unless the environment names another one; `cargo test` builds the first.
DEBUG = EPCACHE_BIN=$(or $(EPCACHE_BIN),$(abspath $(TARGET))/debug/epcache)
RELEASE = EPCACHE_BIN=$(or $(EPCACHE_BIN),$(abspath $(TARGET))/release/epcache)
# A program of the suites.
SUITE = PYTHONPATH=tests .cache/venv/bin/python -m
# Nothing in the program shows where it was built, so the same sources give the same bytes everywhere.
REMAP = --remap-path-prefix=$(CURDIR)=/usr/src/epcache \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/usr/src/cargo

.PHONY: build crates dsc srpm test quick test-upstream test-upstream-full test-histories test-freshness test-hook test-hook-full test-pythons test-programs soak test-packages test-packaging test-images test-faults test-faults-full test-reproducible test-wheels fuzz deny demo lint check-oldest check-targets coverage bench vendor rpm wheel sdist wheels wheels-with-program other-wheels install uninstall clean

build:
	RUSTFLAGS="$(REMAP) $$RUSTFLAGS" $(CARGO) build --release --locked

test: .cache/venv
	$(CARGO) test --locked -- --test-threads=4
	$(DEBUG) $(PYTEST) $(PARALLEL) tests/reader

# The inner loop: what is fast of `test`, needs no network and only a built tree. Most of these tests wait, so
# many run at once.
QUICK_RUST = cli:: confinement:: sources:: properties::importable properties::inputs properties::without
# Those that repeat something hundreds of times, make many files, trace, or wait for a clock.
SLOW_RUST = a_directory_of_a_million_entries a_site_directory_swapped_with_a_link no_hint_executes_a_part \
	a_trigger_reads_a_bounded_part every_exit_status_is_the_command_s hostile_distributions_take_a_bounded \
	no_link_leads_root_out directories_swapped_with_links nothing_that_the_program_needs what_prevents_a_seal \
	links_within_a_tree_are_followed metadata_behind_links waiting_for_a_child_ends
QUICK_PYTHON = test_documents test_damaged_rows test_entry_point test_imports test_names_elsewhere
quick: .cache/venv
	$(CARGO) test --locked --quiet --lib
	$(CARGO) test --locked --quiet --test rust -- --test-threads=8 $(SLOW_RUST:%=--skip %) $(QUICK_RUST)
	$(DEBUG) $(PYTEST) --quiet -k "not 3.9 and not 3.10 and not 3.11 and not 3.12" $(QUICK_PYTHON:%=tests/reader/%.py)

# CPython's and importlib_metadata's own tests, with acceleration: a sample of interpreters and modes, and all of them.
test-upstream: .cache/venv build
	$(RELEASE) $(PYTEST) tests/compat/upstream
	$(RELEASE) $(SUITE) compat.upstream.run --sample

test-upstream-full: .cache/venv build
	$(RELEASE) $(PYTEST) tests/compat/upstream
	$(RELEASE) $(SUITE) compat.upstream.run

# Random histories of site directories: SEED is the first, COUNT how many (docs/internals/testing.md).
test-histories: COUNT = 5000
test-histories: .cache/venv build
	$(PYTEST) tests/compat/histories
	$(SUITE) compat.histories --count $(COUNT) --seed $(or $(SEED),0)

# Installers, the tool and readers interleaved at random on many file systems (docs/internals/reliability.md): COUNT
# reads are checked, from the history SEED on. Needs root.
test-freshness: COUNT = 50000
test-freshness: .cache/venv .cache/stevedore build
	@test "$$(id -u)" = 0 || { echo "tests/system/freshness: needs root, to mount file systems" >&2; exit 1; }
	$(PYTEST) tests/system/freshness
	$(SUITE) system.freshness --count $(COUNT) --seed $(or $(SEED),0)

# Both at length; the table in docs/internals/reliability.md is written anew.
soak: COUNT = 200000
soak: READS = 1000000
soak: .cache/venv .cache/stevedore build
	$(SUITE) system.freshness --count $(READS) --seed $(or $(SEED),1000000) --table docs/internals/reliability.md
	$(SUITE) compat.histories --count $(COUNT) --seed $(or $(SEED),1000000)

# Real programs with acceleration and without, in environments with PYTHONS.
test-programs: PYTHONS = 3.9 3.13
test-programs: .cache/venv build
	$(RELEASE) $(PYTEST) tests/compat/programs --pythons "$(PYTHONS)"

# Real pips with the hook and without, uv, and the examples of hooks: the oldest and the newest pip, and all of them.
test-hook: .cache/venv
	$(PYTEST) $(APART) tests/compat/hook

test-hook-full: .cache/venv
	$(PYTEST) $(APART) tests/compat/hook --complete

# Other interpreters and kinds of directories: PyPy, a free-threaded build (EPCACHE_TEST_FREE_THREADED names one that is
# not on PATH), --target, zipapps, conda.
test-pythons: .cache/venv
	$(PYTEST) $(APART) tests/compat/pythons

# Sealed indexes in images made by buildah, unpacked by umoci and mounted; changed by pip and dpkg.
test-images: .cache/venv build
	@test "$$(id -u)" = 0 || { echo "tests/system/images: needs root, to mount and chroot" >&2; exit 1; }
	$(PYTEST) tests/system/images

test-packages: .cache/venv vendor
	@test "$$(id -u)" = 0 || { echo "tests/system/packages: needs root, to make chroots" >&2; exit 1; }
	$(PYTEST) tests/system/packages tests/system/filesystems tests/system/half_roots

# The source packages of Debian and RPM as a distribution builds and checks them, by lintian, autopkgtest and rpmlint.
# CI leaves it out: it compiles the program three times.
test-packaging: .cache/venv vendor
	@test "$$(id -u)" = 0 || { echo "tests/system/distribution: needs root, to make chroots" >&2; exit 1; }
	$(PYTEST) tests/system/distribution

# A sample of all faults, power cuts, and fifty writers and readers at once; and all of it. SEED chooses the sample.
test-faults: .cache/venv build
	$(PYTEST) tests/system/faults $(if $(SEED),--seed $(SEED))

test-faults-full: .cache/venv build
	$(PYTEST) tests/system/faults --complete

# The wheels of a release, on Debian bullseye, too.
test-wheels: .cache/venv
	@test "$$(id -u)" = 0 || { echo "tests/system/wheels: needs root, to make chroots" >&2; exit 1; }
	$(PYTEST) tests/system/wheels

# Two builds in different places: the same bytes.
test-reproducible: .cache/venv .cache/wheel-tools
	$(PYTEST) tests/system/reproducible

# Every parser and the index, with random bytes (docs/internals/testing.md): SECONDS or RUNS of each target. Then
# CPython and the reader in Python answer for the inputs that reached new code. FUZZ names targets. With the same SEED,
# the same inputs are tried.
fuzz: SECONDS = 60
fuzz:
	fuzz/run $(if $(RUNS),-r $(RUNS),-s $(SECONDS)) $(if $(SEED),-d $(SEED)) $(FUZZ)
	$(CARGO) test --locked --quiet --test rust -- parity::index:: parity::configuration:: of_interest

# Licenses, sources and versions of what is linked, by cargo-deny, which takes minutes to install.
deny:
	@command -v cargo-deny >/dev/null || test -x .cache/cargo-deny/bin/cargo-deny || \
		$(CARGO) install --quiet --locked --root .cache/cargo-deny cargo-deny
	PATH="$$PATH:$(CURDIR)/.cache/cargo-deny/bin" $(CARGO) deny --locked check licenses bans sources

demo:
	tools/demo.sh

lint: .cache/venv vendor
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --quiet --no-deps --document-private-items
	.cache/venv/bin/ruff check --quiet
	.cache/venv/bin/ruff format --check --quiet
	.cache/venv/bin/mypy
	.cache/venv/bin/python tools/crates.py --check

# With the oldest versions that Cargo.toml allows, which are those of Debian trixie, and without landlock: the tests
# that a package build there runs. Each of several incompatible ranges is tried by itself. A network is needed once.
OLDEST = .cache/oldest
check-oldest:
	rm -rf $(OLDEST)/src && mkdir -p $(OLDEST) && cp -a build.rs src $(OLDEST)
	sed -f packaging/distribution-crates.sed -e 's/^\(toml\) = ">=\([0-9.]*\),.*/\1 = "=\2"/' Cargo.toml >$(OLDEST)/Cargo.toml
	cd $(OLDEST) && RUSTC_BOOTSTRAP=1 $(CARGO) update --quiet -Zminimal-versions
	cd $(OLDEST) && $(CARGO) test --quiet --locked --lib --target-dir target
	cd $(OLDEST) && $(CARGO) check --quiet --locked --target-dir target --no-default-features

# For other architectures, C libraries and systems. Needs root, to make a chroot, and a network.
TARGETS = aarch64-unknown-linux-musl aarch64-unknown-linux-gnu riscv64gc-unknown-linux-gnu x86_64-unknown-linux-musl \
	aarch64-apple-darwin x86_64-unknown-freebsd
check-targets: .cache/venv vendor
	$(SUITE) system.packages.targets $(TARGETS)
	test -z "$$EPCACHE_COVERAGE" || printf '{"row": "%s", "columns": []}\n' targets systems >>"$$EPCACHE_COVERAGE"

# Writes docs/coverage.md anew. Needs root.
coverage: export EPCACHE_COVERAGE = $(CURDIR)/.cache/coverage
coverage:
	rm -f $$EPCACHE_COVERAGE
	$(MAKE) test-packages test-images test-hook test-pythons check-targets
	tools/coverage.py $$EPCACHE_COVERAGE

bench:
	benches/run

# The crates that package builds use, by `cargo --config packaging/vendor.toml`.
vendor: vendor/.complete
vendor/.complete: Cargo.lock
	rm -rf vendor
	$(CARGO) vendor --quiet --locked --versioned-dirs vendor >/dev/null
	touch $@

# What the packages say of the crates: after a change of Cargo.lock.
crates: vendor .cache/venv
	.cache/venv/bin/python tools/crates.py

# The sources as a release has them: without vendor/, which is a tarball of its own, and without the seeds of fuzzing,
# which are excerpts of many packages by many holders.
ARCHIVE = tar --sort=name --owner=0 --group=0 --numeric-owner
SOURCES = git ls-files -z . ':!fuzz/seeds' $(WITHOUT) | $(ARCHIVE) --null --files-from=- --transform='s,^,epcache-$(VERSION)/,'

rpm: RPMBUILD = -bb
srpm: RPMBUILD = -bs
rpm srpm: vendor
	mkdir -p dist/rpm/SOURCES
	$(SOURCES) -czf dist/rpm/SOURCES/epcache-$(VERSION).tar.gz
	$(ARCHIVE) -czf dist/rpm/SOURCES/epcache-$(VERSION)-vendor.tar.gz vendor
	rpmbuild $(RPMBUILD) --define '_topdir $(CURDIR)/dist/rpm' --define '_rpmdir $(CURDIR)/dist' \
		--define '_srcrpmdir $(CURDIR)/dist' \
		--define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' $(RPMBUILD_FLAGS) rpm/epcache.spec

# Debian's source package in dist/deb/, with the crates, or with VENDOR= for a build with Debian's own crates. Binary
# packages need none: dpkg-buildpackage -b builds them in a checkout.
VENDOR = vendor
ORIG = dist/deb/epcache_$(VERSION).orig
dsc: WITHOUT = ':!debian'
dsc: $(VENDOR)
	rm -rf dist/deb && mkdir -p dist/deb
	$(SOURCES) -czf $(ORIG).tar.gz
	$(if $(VENDOR),$(ARCHIVE) -czf $(ORIG)-vendor.tar.gz vendor)
	tar -C dist/deb -xf $(ORIG).tar.gz
	cp -a $(VENDOR) debian dist/deb/epcache-$(VERSION)
	$(if $(VENDOR),,$(PYTHON) tools/crates.py --without dist/deb/epcache-$(VERSION)/debian/copyright)
	cd dist/deb && dpkg-source --build epcache-$(VERSION)

# The program and the reader in one wheel, for systems like this one.
wheel: .cache/wheel-tools
	rm -f $(DIST)/epcache-*.whl
	$(MATURIN) --out $(DIST)
	$(call without_place,$(DIST))

sdist: .cache/wheel-tools
	$</bin/maturin sdist --out $(DIST)

# What a release has: a wheel with the program for each of WHEEL_TARGETS, one with the reader alone, which pip takes
# where none of these fits, and the sdist. zig links against the C library of manylinux2014, or musl statically.
WHEEL_TARGETS = $(shell rustc -vV | sed -n 's/^host: //p')
wheels: wheels-with-program
	SOURCE_DATE_EPOCH=$(WHEEL_DATE) .cache/wheel-tools/bin/hatchling build --target wheel --directory $(DIST)/wheels
	.cache/wheel-tools/bin/maturin sdist --out $(DIST)/wheels

wheels-with-program: .cache/wheel-tools .cache/zig
	rm -rf $(DIST)/wheels
	for target in $(WHEEL_TARGETS); do \
		CARGO_ZIGBUILD_ZIG_PATH=$(CURDIR)/.cache/zig/ziglang/zig $(MATURIN) --zig --target $$target --out $(DIST)/wheels || exit; \
	done
	$(call without_place,$(DIST)/wheels)

# The wheels for which this machine's compiler has no standard library, added to the others. Needs root, to make a
# chroot, and a network.
OTHER_TARGETS = x86_64-unknown-linux-musl aarch64-unknown-linux-gnu aarch64-unknown-linux-musl
other-wheels: .cache/venv vendor
	SOURCE_DATE_EPOCH=$(WHEEL_DATE) $(SUITE) system.wheels.other_machines $(DIST)/wheels $(OTHER_TARGETS)

WHEEL_DATE = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),1577836800)
MATURIN = CARGO_TARGET_DIR=$(TARGET)/wheel RUSTFLAGS="$(REMAP) $$RUSTFLAGS" SOURCE_DATE_EPOCH=$(WHEEL_DATE) $</bin/maturin build --release
# The list of crates in a wheel (PEP 770) names us by the directory of the build; here by what the others are named by.
without_place = set -e; for wheel in $(1)/epcache-*.whl; do \
		.cache/wheel-tools/bin/wheel unpack --dest $$wheel.unpacked $$wheel; rm $$wheel; \
		sed -i -e 's,path+file://[^\#"]*\#\(epcache@\)\{0\,1\},pkg:cargo/epcache@,g' -e 's,?download_url=file://\.,,' \
			$$wheel.unpacked/*/*.dist-info/sboms/*.json; \
		SOURCE_DATE_EPOCH=$(WHEEL_DATE) .cache/wheel-tools/bin/wheel pack --dest-dir $(1) $$wheel.unpacked/*; \
		rm -r $$wheel.unpacked; \
	done

.cache/wheel-tools:
	$(PYTHON) -m venv $@
	$@/bin/pip --quiet install 'maturin>=1.9.4,<2' 'hatchling>=1.27,<2' 'wheel>=0.45,<1'

.cache/zig: | .cache/wheel-tools
	.cache/wheel-tools/bin/pip --quiet install --target $@ 'ziglang>=0.13,<0.18'

.cache/venv: tests/requirements.txt
	$(PYTHON) -m venv $@
	$@/bin/pip --quiet install --requirement $<
	touch $@

# To compare with. A newer one may do otherwise.
.cache/stevedore:
	.cache/venv/bin/pip --quiet install --target $@ 'stevedore>=5.4,<6'

# Packages build first and pass DESTDIR, PREFIX and PYTHON_DIR. `uninstall` takes the same variables, and removes exactly
# what `install` wrote. STRIP= keeps the debug information, as for packages that put it into one of their own.
# Every user can read and run what is installed, whatever the umask of the caller.
STRIP ?= -s
INSTALLER ?= make
BIN = $(DESTDIR)$(PREFIX)/bin
LIB = $(DESTDIR)$(PREFIX)/lib
SHARE = $(DESTDIR)$(PREFIX)/share
PURELIB = $(DESTDIR)$(PYTHON_DIR)
DIST_INFO = epcache-$(VERSION).dist-info
DOCUMENTS = $(wildcard README.md) docs/reference/index-format.md
EXAMPLES = $(wildcard docs/examples/hooks/*)
UNITS = $(wildcard packaging/systemd/*.service packaging/systemd/*.timer packaging/systemd/*.path)
SANDBOX = epcache-.service.d
MODULES = $(shell cd python && find epcache epcache_startup -name '*.py' -o -name py.typed)

install: INSTALL = umask 022 && install
install:
	$(INSTALL) -Dm755 $(STRIP) -t $(BIN) $(TARGET)/release/epcache
	ln -sf epcache $(BIN)/refresh-entrypoints-cache
	$(INSTALL) -Dm644 -t $(LIB)/epcache packaging/config.toml
	$(INSTALL) -Dm644 -t $(LIB)/sysusers.d packaging/sysusers.d/epcache.conf
	$(INSTALL) -Dm644 -t $(LIB)/tmpfiles.d packaging/tmpfiles.d/epcache.conf
	$(INSTALL) -Dm644 -t $(LIB)/systemd/system $(UNITS)
	$(INSTALL) -Dm644 -t $(LIB)/systemd/system/$(SANDBOX) packaging/systemd/$(SANDBOX)/sandbox.conf
	$(INSTALL) -Dm644 -t $(LIB)/systemd/system-preset packaging/systemd/90-epcache.preset
	$(INSTALL) -Dm644 -t $(SHARE)/man/man8 packaging/man/epcache.8
	ln -sf epcache.8 $(SHARE)/man/man8/refresh-entrypoints-cache.8
	$(INSTALL) -Dm644 -t $(SHARE)/doc/epcache $(DOCUMENTS)
	$(INSTALL) -Dm644 -t $(SHARE)/doc/epcache/examples/hooks $(EXAMPLES)
	umask 022 && cd python && for module in $(MODULES); do \
		install -Dm644 $$module $(abspath $(PURELIB))/$$module; done
	umask 022 && $(PYTHON) tools/dist_info.py $(PURELIB) $(VERSION) $(INSTALLER) $(MODULES)

# Its own directories go if nothing else is in them. The users and the indexes stay: see docs/howto/administrators.md.
uninstall:
	rm -f $(BIN)/epcache $(BIN)/refresh-entrypoints-cache
	rm -f $(LIB)/sysusers.d/epcache.conf $(LIB)/tmpfiles.d/epcache.conf $(LIB)/epcache/config.toml
	rm -f $(addprefix $(LIB)/systemd/system/,$(notdir $(UNITS)) $(SANDBOX)/sandbox.conf)
	rm -f $(LIB)/systemd/system-preset/90-epcache.preset
	rm -f $(addprefix $(SHARE)/man/man8/,epcache.8 refresh-entrypoints-cache.8)
	rm -f $(addprefix $(SHARE)/doc/epcache/,$(notdir $(DOCUMENTS)) $(addprefix examples/hooks/,$(notdir $(EXAMPLES))))
	rm -f $(addprefix $(PURELIB)/,$(MODULES) $(addprefix $(DIST_INFO)/,INSTALLER METADATA RECORD))
	rm -rf $(addprefix $(PURELIB)/,$(addsuffix __pycache__,$(sort $(dir $(MODULES)))))
	for directory in $(LIB)/epcache $(LIB)/systemd/system/$(SANDBOX) $(SHARE)/doc/epcache/examples/hooks \
			$(SHARE)/doc/epcache/examples $(SHARE)/doc/epcache $(PURELIB)/epcache/watcher $(PURELIB)/epcache \
			$(PURELIB)/epcache_startup $(PURELIB)/$(DIST_INFO); do \
		test ! -d $$directory || rmdir --ignore-fail-on-non-empty $$directory; done

clean:
	$(CARGO) clean
	rm -rf vendor dist .cache
