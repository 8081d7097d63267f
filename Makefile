# make run    installs what is missing, builds, trains the quickstart model and shows it learning
# make test   installs what is missing, builds, runs all tests
.PHONY: build deps run test bench format clean
PRESET ?= release
RUN ?= runs/quickstart

build: deps
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	@cmake --build --preset $(PRESET)

deps:
	@deploy/install_deps.sh

run: build
	@build/$(PRESET)/bin/ponder run --config configs/quickstart.yaml --out $(RUN)

test: build
	@ctest --test-dir build/$(PRESET) --output-on-failure -j 2

bench: build
	@for b in build/$(PRESET)/bin/bench_*; do $$b; done

format:
	@git ls-files '*.h' '*.cc' | xargs clang-format -i

clean:
	@rm -rf build
