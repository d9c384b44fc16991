# A thin door: every target forwards to cmake, ctest or a script. `make help` lists them.
.DEFAULT_GOAL := all

JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
BIN    := build/release/bin

.PHONY: all build-release build-dev bootstrap test crashtest conformance valgrind mutants stories search-mistakes mutants-full seams bench report demo \
        doctor tidy format install clean help

all: build-release

help:
	@echo "make             build the programs and libraries into build/release"
	@echo "make test        sanitizer build and every test that is not slow"
	@echo "make crashtest   the main job: fixed seeds, counted budget, canary"
	@echo "make conformance the simulated disk against the file of persistence models"
	@echo "make valgrind    unit tests, scenarios and a slice of the crash test under memcheck"
	@echo "make mutants     plant known mistakes in the engine; each has to be found (3 seeds)"
	@echo "make stories     are the stories of planted mistakes small, and do they name the right call?"
	@echo "make search-mistakes  plant mistakes in the search; each makes a test fail"
	@echo "make mutants-full  the same with 10 seeds, and other ways to choose crash states beside"
	@echo "make bench       minivault beside LevelDB, RocksDB, LMDB and SQLite; N=1000000 RUNS=3 ENGINES= WORKLOADS="
	@echo "make report      a page of all results below powercut-out and build/release: build/report.html"
	@echo "make seams       every mistake at every call of the engine: does a run notice? (half an hour)"
	@echo "make demo        plant a known bug, find it, shrink it, explain it"
	@echo "make doctor      what is missing on this machine, and the command that mends it"
	@echo "make fuzz        TARGET=log TIME=60s: libFuzzer on one reader (ENGINE=afl: AFL++);"
	@echo "                 fuzz-smoke: all of them, one minute; fuzz-cmin thins a corpus"
	@echo "make fuzz-cov    lines and branches that the fuzz targets reach; fuzz-planted: what they find"
	@echo "make sanitize    address, undefined, thread and memory sanitizers over what each can watch"
	@echo "make tidy        the rules of the house (.ci/tidy); make format rewrites the layout"
	@echo "make install     PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"
	@echo "make clean       remove build/"

bootstrap:
	@.ci/bootstrap

# Ninja runs cmake again by itself when a CMakeLists.txt has changed.
build/%/build.ninja: CMakePresets.json | bootstrap
	cmake --preset $*

build-release: bootstrap build/release/build.ninja
	@cmake --build --preset release -j $(JOBS)

build-dev: bootstrap build/dev/build.ninja
	@cmake --build --preset dev -j $(JOBS)

test: build-dev
	ctest --preset dev -j $(JOBS) -LE slow

crashtest: build-release
	$(BIN)/powercut run --exhaustive-ops 1 --every-fault --seed 1 --quiet
	$(BIN)/powercut threads --traces 400
	$(BIN)/powercut run --profile crashtest --canary $(BIN)/powercut-canary

conformance: build-release
	$(BIN)/powercut conformance crashtests/conformance/persistence-models.json

valgrind: bootstrap
	@.ci/bootstrap valgrind
	@fuzz/lanes valgrind

# Results of this tree; with none, a short run and the durability matrix make some.
report: build-release
	@if [ -z "$$(find powercut-out -name 'results*.jsonl' 2>/dev/null)" ]; then \
		$(BIN)/powercut run --profile quick --quiet; fi
	@if [ -z "$$(find powercut-out -name 'results-matrix*.jsonl' 2>/dev/null)" ]; then \
		$(BIN)/powercut matrix --quiet >/dev/null || true; fi
	@python3 -B reports/report.py --html build/report.html powercut-out \
		$(wildcard build/release/mutants.json build/bench*.json build/release/bench*.json)

mutants: build-release
	crashtests/mutants/run

stories: build-release
	python3 -B harness/stories_test.py build/release --seeds 3

search-mistakes: build-release
	python3 -B harness/mistakes_test.py build/release
	POWERCUT_LONG=1 $(BIN)/lazy_test

mutants-full: build-release
	crashtests/mutants/run --full

# Peers are optional: whichever of libleveldb-dev librocksdb-dev liblmdb-dev libsqlite3-dev is there.
# N=100000 RUNS=1 takes about 20 seconds, the default about ten minutes.
N         ?= 1000000
RUNS      ?= 3
ENGINES   ?=
WORKLOADS ?=
BENCH_DIR ?= build/bench.db
bench: build-release
	@-.ci/bootstrap libleveldb-dev librocksdb-dev liblmdb-dev libsqlite3-dev
	@cmake --preset release >/dev/null && cmake --build --preset release -j $(JOBS) --target kvbench
	$(BIN)/kvbench --entries $(N) --runs $(RUNS) --engines "$(ENGINES)" --workloads "$(WORKLOADS)" \
	  --dir $(BENCH_DIR) --json build/bench.json

seams: build-release
	$(BIN)/powercut audit --seams --explained crashtests/mutants/seams.txt --traces 6

demo doctor: build-release
	$(BIN)/powercut $@

export ENGINE SLICE
.PHONY: fuzz fuzz-smoke fuzz-cmin fuzz-cov fuzz-planted sanitize
# Installs nothing: fuzz/run says what is missing.
fuzz:
	@fuzz/run $(or $(TARGET),log) $(or $(TIME),60s)

fuzz-smoke:
	@fuzz/run --smoke $(or $(TIME),60s)

fuzz-cmin:
	@fuzz/run --cmin $(or $(TARGET),log)

fuzz-cov:
	@fuzz/coverage --html

fuzz-planted:
	@fuzz/planted/run

sanitize: bootstrap
	@fuzz/lanes sanitize

tidy:
	.ci/tidy

format:
	clang-format -i $$(git ls-files --cached --others --exclude-standard '*.c' '*.h')

install: build-release
	cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build
