# make run    installs what is missing, builds, trains the quickstart model and shows it learning
# make test   installs what is missing, builds, runs all tests
.PHONY: build deps run test bench format clean
PRESET ?= release
RUN ?= runs/quickstart
BIN := build/$(PRESET)/bin
# What `build` builds; everything unless given.
TARGETS ?= all

build: deps
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	@cmake --build --preset $(PRESET) --target $(TARGETS)

deps:
	@deploy/install_deps.sh

run:
	@$(MAKE) --no-print-directory build TARGETS="ponder ponder-learner ponder-verifier"
	@$(BIN)/ponder run --config configs/quickstart.yaml --out $(RUN)

test: build
	@ctest --test-dir build/$(PRESET) --output-on-failure -j 2

bench: build
	@for b in $(BIN)/bench_*; do echo "# $$b"; $$b || exit 1; done

format:
	@git ls-files '*.h' '*.cc' | xargs clang-format -i

clean:
	@rm -rf build
