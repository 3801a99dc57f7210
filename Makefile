# make demo   paints out/*.png from pictures that the project draws itself
# make test   runs the tests
# make bench  measures the kernels on this machine
# make check  formatting, lints, documentation, and the library without the command
# make capi   builds and tests the C interface (capi/README.md)
# make web    builds the library and the page for browsers, and serves the page (web/README.md)
# make test-web  tests them in headless Chromium
# make live   opens a window in which every frame of a scene is painted (LIVE=--help lists its options)
# make bench-peers  runs the same nets in burn, PyTorch, onnxruntime and ncnn too (benches/peers/README.md)

# make bench-isa  what a compiler for AMD's GPUs makes of the kernels; needs no such GPU (benches/isa/README.md)

# make gpu-day  everything for one adapter in under nine minutes, into out/gpu-day.json (IMPASTO=FILE: with that binary)

.PHONY: setup demo live test-build test capi web test-web formats soak faults drivers shaders fuzz bench check bench-peers bench-isa gpu-day

# The build whose `devices` tells whether there is an adapter.
RUN ?= cargo run --quiet --release --

# A Vulkan loader, and Mesa's software driver only where no adapter is found. (macOS and Windows bring their own.)
setup:
	@if [ "$$(uname)" = Linux ]; then \
	  install() { \
	    echo "installing $$*" >&2; \
	    if ! command -v apt-get >/dev/null; then \
	      echo "no adapter: install a Vulkan loader and driver with your package manager (Mesa has one for most GPUs)" >&2; \
	      exit 1; \
	    fi; \
	    sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	    $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -qq -y "$$@" >/dev/null; \
	  }; \
	  ldconfig -p 2>/dev/null | grep -q libvulkan.so.1 || install libvulkan1 || exit 1; \
	  $(RUN) devices 2>/dev/null | grep -qv ', gl, ' || install mesa-vulkan-drivers || exit 1; \
	fi
	@$(RUN) devices

demo: setup
	@cargo build --release --quiet --example draw_samples
	@mkdir -p out
	./target/release/examples/draw_samples out
	./target/release/impasto stylize out/landscape.png --style out/strokes.png --style out/marble.png --style out/mosaic.png \
	  --style out/woodcut.png --grid --size 512 --cell 384 -o out --overwrite
	@echo "out/grid.png shows them side by side"

# Options of examples/live.
LIVE ?=

live: setup
	cargo run --release --quiet --manifest-path examples/live/Cargo.toml -- $(LIVE)

# All tests, and with them the command that looks for an adapter. (`cargo run` would compile naga, wgpu and the library
# once more, with other features.)
test-build:
	cargo test --tests --no-run
	@$(MAKE) --no-print-directory setup RUN=$(or $(CARGO_TARGET_DIR),target)/debug/impasto

# Mesa's software driver compiles every kernel for the processor. It keeps them here, for all tests. The tests of single
# operations compile many kernels and run each on small tensors. So the driver skips its optimiser for them and uses
# vectors (and subgroups) of 128 bits, which compile in a third of the time; `tests/doctor.rs` runs the same cases at the
# processor's own width. wgpu's debug build records a backtrace at each lock where RUST_BACKTRACE is set, which takes 5 to
# 10% of the time; panics keep theirs.
test soak: export RUST_LIB_BACKTRACE ?= 0
test: export MESA_SHADER_CACHE_DIR ?= $(CURDIR)/target/mesa
test: test-build
	GALLIVM_PERF=nopt LP_NATIVE_VECTOR_WIDTH=128 cargo test --test ops
	cargo test --lib --bins $(patsubst tests/%.rs,--test %,$(filter-out tests/ops.rs,$(wildcard tests/*.rs)))
	cargo test --doc

# The formats that are no default. Needs cc.
formats:
	cargo test --lib --features avif,webp-lossy io::

# The C interface, a package of its own that compiles the library with other features. Needs cc and c++.
capi: export RUST_LIB_BACKTRACE ?= 0
capi: export MESA_SHADER_CACHE_DIR ?= $(CURDIR)/target/mesa
capi:
	cd capi && cargo fmt --check
	cd capi && cargo clippy --all-targets --quiet -- -D warnings
	cd capi && cargo test

# The port of the page.
PORT ?= 8080

web:
	web/build.sh
	cd web && node serve.mjs dist $(PORT)

# The results are compared with those of the native command. Chromium and Firefox are the system's, or those in CHROMIUM and
# FIREFOX; without Firefox, its tests are skipped.
test-web:
	cargo build --quiet
	PROFILE=dev web/build.sh
	cd web && npm ci --silent && node --test --test-concurrency=1 \
	  tests/library.mjs tests/page_photo.mjs tests/page_views.mjs tests/page_real.mjs tests/firefox.mjs

# Methods, nets and sizes in turn for this many seconds: memory must not grow.
SOAK ?= 1200

soak: export MESA_SHADER_CACHE_DIR ?= $(CURDIR)/target/mesa
soak: test-build
	IMPASTO_SOAK=$(SOAK) cargo test --test soak -- --ignored --nocapture

# Kills, full disks, lost devices, little memory.
faults: test-build
	cargo test --test faults -- --ignored --nocapture

# The doctor on every driver at hand.
drivers: setup
	tests/drivers.sh

# What other compilers say of every kernel.
shaders:
	tests/shaders.sh

# Seconds for each target of fuzz/. cargo-fuzz (`cargo install cargo-fuzz`) wants a nightly compiler, or to be told that
# this one will do.
FUZZ ?= 600

fuzz:
	for target in weights picture checkpoint options shader; do \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run -s none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(FUZZ) -rss_limit_mb=4096 -timeout=30 || exit 1; \
	done

bench: setup
	./target/release/impasto bench

# The Python that has PyTorch, onnxruntime and ncnn; options (--quick, --only, --size, ...); burn's features: tuned, or none,
# which is what a machine gets that has a software adapter alone.
PYTHON ?= python3
PEERS ?=
BURN ?= $(shell $(RUN) devices 2>/dev/null | grep -q GPU, && echo tuned)

bench-peers: setup
	cargo run --release --quiet --manifest-path benches/peers/Cargo.toml --features "$(BURN)" -- \
	  --python "$(PYTHON)" --json out/peers.json $(PEERS)

# Options of benches/isa.
ISA ?= --check benches/isa/recorded.json

bench-isa: setup
	CARGO_TARGET_DIR=$(or $(CARGO_TARGET_DIR),target) cargo run --quiet --manifest-path benches/isa/Cargo.toml -- $(ISA)

# An impasto that is built already, for a machine without cargo; the program of benches/peers, if it is built; options.
IMPASTO ?=
PEERS_PROGRAM ?= $(wildcard benches/peers/target/release/impasto-peers)
GPU_DAY ?=

gpu-day:
	@mkdir -p out
	$(if $(IMPASTO),,cargo build --release --quiet)
	$(or $(IMPASTO),./target/release/impasto) gpu-day $(if $(PEERS_PROGRAM),--peers $(PEERS_PROGRAM) --python $(PYTHON)) \
	  -o out/gpu-day.json --overwrite $(GPU_DAY)

# What a program that embeds the library may have to build, without the command's dependencies; and for a browser, where
# Rust's library for it is installed (rustup target add wasm32-unknown-unknown).
HOST = --no-default-features --features blocking,vulkan,weights-impressions
# The oldest Rust that compiles the project.
OLDEST = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
COMMAND = clap|ctrlc|directories|epaint|humantime|indicatif|nalgebra|plotters|signal-hook|tracing-subscriber|walkdir

# The documentation is that of library and examples: with examples, the dependencies are those that clippy has checked.
check:
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --examples --quiet
	cargo clippy --lib --example headless $(HOST) --quiet -- -D warnings
	cargo clippy --lib --no-default-features --features doctor,train-styles,vulkan --quiet -- -D warnings
	@if cargo tree --edges normal --prefix none $(HOST) | grep -E "^($(COMMAND))"; then echo "is a dependency of the library"; exit 1; fi
	@if [ -d "$$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then \
	  cargo check --lib --no-default-features --features webgpu --target wasm32-unknown-unknown --quiet; \
	else echo "wasm32-unknown-unknown is not installed: not checked"; fi
	@if rustup toolchain list 2>/dev/null | grep -q "^$(OLDEST)-"; then cargo +$(OLDEST) check --all-targets --quiet; \
	else echo "Rust $(OLDEST) is not installed (rustup toolchain install $(OLDEST)): not checked"; fi
