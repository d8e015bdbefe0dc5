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

# Other libraries to compare with are installed and built into a module; models are those of MODELS.
MODELS ?= $(wildcard $(addprefix ../shared/data/mlperf-tiny/models/,resnet8-cifar10-int8-qdq.onnx dscnn-kws-int8-qdq.onnx))
bench:
	@mkdir -p build
	@cmake/setup.sh --bench
	@cmake --preset release -DBRIM_PEERS=ON >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@$(MAKE) --no-print-directory all
	@$(BUILD)/brim bench kernels
	@for model in $(MODELS); do $(BUILD)/brim bench model $$model || exit 1; done
	@$(BUILD)/brim bench solver

clean:
	@rm -rf build
