# Makefile - the four things one types. CMake does the work: see CMakePresets.json.
.PHONY: all setup demo test lint bench clean

BUILD := build/release

all: $(BUILD)/build.ninja
	@cmake --build $(BUILD)

$(BUILD)/build.ninja: | setup-quiet
	@cmake --preset release >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }

# Debian packages and the Python venv for interoperability tests. Runs only what is missing.
setup:
	@cmake/setup.sh

.PHONY: setup-quiet
setup-quiet:
	@mkdir -p build
	@cmake/setup.sh --packages

demo: all
	@$(BUILD)/brim demo

test: setup
	@$(MAKE) --no-print-directory all
	@tests/run.sh $(BUILD)

lint: setup-quiet
	@tests/lint/run.sh

bench: all
	@$(BUILD)/brim bench solver

clean:
	@rm -rf build
