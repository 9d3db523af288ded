# Penumbra. `make run` and `make test` need nothing but Debian and a Swift toolchain.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SWIFT    ?= swift
BUILD    := $(SWIFT) build -c release
# Tests are built with @testable, which needs other flags: a folder of their own keeps either build from undoing the other.
TEST     := $(SWIFT) test -c release --scratch-path .build-tests
PENUMBRA := .build/release/penumbra

# What the build needs besides the toolchain: a probe, and the package that holds it.
NEEDS := git:git pkg-config:pkg-config pc=capstone:libcapstone-dev pc=libcrypto:libssl-dev pc=zlib:zlib1g-dev

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## install what is missing (libcapstone-dev, libssl-dev, zlib1g-dev, pkg-config, git)
	@command -v $(SWIFT) > /dev/null || { echo "make: no Swift toolchain: see https://www.swift.org/install/linux" >&2; exit 1; }
	@.ci/install-packages $(NEEDS)

build: setup ## build the release program
	$(BUILD) --product penumbra

run: build ## boot hello under each kind of paging, then compare the measuring guests
	@for paging in native shadow:trace shadow:unsync shadow:vtlb nested agile; do \
	    echo "== hello, $$paging"; \
	    $(PENUMBRA) run hello --paging $$paging --append "from make run" || [ $$? -eq 1 ]; \
	done
	@echo; $(PENUMBRA) compare context-switch --region 1
	@echo; $(PENUMBRA) compare page-table-storm
	@echo; $(PENUMBRA) compare pointer-chase --region 9

test: setup ## build and run every test (installs gdb)
	@.ci/install-packages gdb:gdb
	$(TEST)

check: setup ## formatting and the import graph
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Package.swift
	$(TEST) --filter ArchitectureTests

record: build ## write the golden records in Traces anew
	rm -f Traces/*.trace Traces/images/*.image.gz
	$(PENUMBRA) trace record --golden --output Traces
	@git --no-pager diff --stat -- Traces || true

instructions: build ## write Docs/Instructions.md anew
	$(PENUMBRA) instructions > Docs/Instructions.md

dialogues: setup ## hold the debugger's and gdb's conversations; DIALOGUES=write writes transcripts and reference anew
	@.ci/install-packages gdb:gdb
	DIALOGUES=$(DIALOGUES) $(TEST) --filter 'DebuggerTests|GDBDialogueTests'

guests: ## build the guest images anew
	$(MAKE) -C Sources/Guests
	@git --no-pager diff --stat -- Sources/Guests/Images || true

peers: build ## compare output and speed with QEMU and Bochs (installs both); SEED, COUNT of privileged cases
	@.ci/install-packages qemu-system-x86_64:qemu-system-x86 bochs:bochs
	Tests/Peers/run $(PEERS)

conformance: build ## run kvm-unit-tests in every kind of paging; IMAGES=their folder, KINDS=columns; VERIFY=1: all kinds in step
	@[[ -n "$(IMAGES)" ]] || { echo "make: IMAGES=DIRECTORY names the folder with the suite's images, NAME.flat" >&2; exit 66; }
	@KINDS="$(KINDS)" VERIFY="$(VERIFY)" CHURN="$(CHURN)" TIMEOUT="$(TIMEOUT)" INSTRUCTIONS="$(INSTRUCTIONS)" Tests/Conformance/run $(IMAGES) $(TESTS)

vectors: build ## make instruction vectors on this processor and execute them; COUNT=a form, SEED=n
	$(BUILD) --product VectorGenerator
	mkdir -p .build/vectors
	.build/release/VectorGenerator .build/vectors $(or $(COUNT),100) $(or $(SEED),1)
	$(PENUMBRA) vectors .build/vectors/*.json.gz
	SEQUENCES=$(or $(SEQUENCES),20000) $(TEST) --filter SequenceTests

sweep: setup ## compare the decoder with objdump over the opcode space (installs binutils)
	@.ci/install-packages objdump:binutils
	SWEEP=whole $(TEST) --filter SweepTests

policies: build ## run the built-in guests under every kind of paging; writes the table of Docs/Policies.md
	Tests/Policies/run

mutations: setup ## plant deliberate faults one by one, and see which check catches each; FAULTS=names
	MUTATIONS=1 $(BUILD) --scratch-path .build-mutations --product penumbra
	Tests/Mutations/run $(FAULTS)

fuzz: setup ## fuzz the loader and the processor; TIME=seconds for each
	Tests/Fuzz/run $(or $(TIME),60)

findings: build ## measure what the literature claims; writes Docs/Findings.md and its pictures
	$(PENUMBRA) findings Docs

bench: build ## the price of a context switch, by cause
	$(PENUMBRA) bench context-switch $(BENCH)

clean: ## remove what was built
	rm -rf .build .build-tests .build-mutations
	$(MAKE) -C Sources/Guests clean

.PHONY: help setup build run test check record instructions dialogues guests peers conformance vectors sweep policies mutations fuzz findings bench clean
