# SPDX-License-Identifier: Apache-2.0
# brunt: one makefile, out of tree. `make help` says what there is.

BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
CC       ?= gcc
CLANG    ?= clang
# In sbin, which ordinary users may not have in PATH.
BPFTOOL  ?= $(or $(shell PATH="$$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v bpftool),bpftool)
SANITIZE ?=
V        ?= 0
WERROR   ?= 1

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' $(1) $(2);)

VERSION := 0.1.0
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

WARNINGS := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wformat=2 -Wshadow -Wundef -Wpointer-arith
HARDEN   := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
CFLAGS   ?= -O2 -g
override CFLAGS += -std=gnu11 $(WARNINGS) $(HARDEN) $(if $(filter 1,$(WERROR)),-Werror) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
CPPFLAGS += -D_GNU_SOURCE -DBRUNT_VERSION='"$(VERSION)"' -Iinclude -Iinjector -I$(BUILD) $(NETLINK) -MMD -MP
LDFLAGS  += -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LDLIBS   += -lbpf -ljansson -lsystemd -lcap-ng -lnl-3 -lseccomp -lm
# Its headers lie in a folder of their own.
NETLINK  := $(shell pkg-config --cflags libnl-3.0 2>/dev/null || echo -I/usr/include/libnl3)

SOURCES  := $(filter-out injector/main.c,$(wildcard injector/*/*.c))
OBJECTS  := $(SOURCES:%.c=$(BUILD)/%.o)
SKELS    := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.skel.h,$(wildcard bpf/*.bpf.c))
UNIT     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
HELPERS  := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tools/*.c))
FUZZ     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help demo test test-kernels setup check unit functional bench fuzz install clean docs docs-check lint format

all: $(BUILD)/brunt ## build build/brunt (needs what `make setup` installs)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  variables    BUILD= PREFIX= DESTDIR= SANITIZE=address,undefined V=1 CC= CFLAGS= KERNELS='

setup: ## install what building, the demo and the tests need (apt; root or sudo)
	$(Q)scripts/setup $(SETUP)

demo: SETUP = build demo
demo: setup ## install what is missing, build, run the quickstart
	$(Q)$(MAKE) --no-print-directory all
	$(Q)scripts/demo $(BUILD)/brunt

test: setup ## install what is missing, build, run every test; some again in a virtual machine
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/run $(BUILD)

KERNELS ?= 5.10 6.1 6.12 6.18 7.2
test-kernels: setup ## run the tests that are about kernels, in a virtual machine for each of KERNELS
	$(Q)$(MAKE) --no-print-directory all
	$(Q)KERNELS='$(KERNELS)' tests/run --kernels $(BUILD)

unit: $(UNIT) ## build and run the unit tests only
	$(Q)tests/run --unit $(BUILD)

test-programs: $(UNIT) $(HELPERS)
.PHONY: test-programs

bench: all test-programs ## compare brunt with its peers, ratios in one run (root)
	$(Q)scripts/bench $(BUILD)

bench-fidelity: all test-programs ## compare what network.netem does with what it was asked for, here and with netem in a VM (root)
	$(Q)scripts/bench-fidelity $(BUILD)
	$(Q)scripts/vm -t 3600 -- scripts/bench-fidelity $(BUILD) netem root
.PHONY: bench-fidelity

fuzz: $(FUZZ) ## run each fuzz target for FUZZ_SECONDS (60)
	$(Q)tests/fuzz/run $(BUILD)

docs: all ## write the generated pages and the schema again
	$(Q)scripts/docs $(BUILD)/brunt

docs-check: all
	$(Q)scripts/docs --check $(BUILD)/brunt

lint: ## cppcheck, clang-tidy, clang-format, shellcheck
	$(Q)scripts/lint $(BUILD)

format: ## lay the sources out as .clang-format says
	$(Q)clang-format -i $(wildcard injector/*.c injector/*/*.[ch] include/brunt/*.h tests/*/*.[ch])

install: all ## install the program, man pages, schema and experiments
	$(Q)install -Dm755 $(BUILD)/brunt $(DESTDIR)$(PREFIX)/bin/brunt
	$(Q)install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man1 docs/brunt.1
	$(Q)install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man5 docs/brunt-plan.5
	$(Q)install -Dm644 -t $(DESTDIR)$(PREFIX)/share/brunt/experiments experiments/*.json experiments/README.md
	$(Q)install -Dm644 -t $(DESTDIR)$(PREFIX)/share/brunt/experiments/include experiments/include/*.json
	$(Q)install -Dm644 -t $(DESTDIR)$(PREFIX)/share/brunt docs/experiment.schema.json
	$(Q)install -Dm644 -t $(DESTDIR)$(PREFIX)/share/doc/brunt README.md LICENSE docs/*.md
	$(Q)install -Dm644 -t $(DESTDIR)$(PREFIX)/share/doc/brunt/faults docs/faults/*.md

clean: ## remove build/
	$(Q)rm -rf $(BUILD)

$(BUILD)/brunt: $(BUILD)/injector/main.o $(BUILD)/libbrunt.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libbrunt.a: $(OBJECTS)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

# Says what is missing before a compiler says it less well.
.PHONY: tools
tools:
	@scripts/setup --check build || :

$(BUILD)/%.o: %.c | tools
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The skeletons come before the only folder that includes them.
$(filter $(foreach folder,fault program detour dns,$(BUILD)/injector/$(folder)/%),$(OBJECTS)) $(UNIT:%=%.o): | $(SKELS)

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) -g -O2 -Wall -Werror -mcpu=v3 -target bpf $(if $(MULTIARCH),-I/usr/include/$(MULTIARCH)) -Ibpf -c -o $@ $<

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$<)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# A unit test may wrap system calls: the linker's flags are read from its __wrap_ functions.
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libbrunt.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ \
		$$(sed -n 's/^.*[ *]__wrap_\([A-Za-z0-9_]*\)(.*/-Wl,--wrap=\1/p' tests/unit/$*.c | sort -u) -lcmocka $(LDLIBS)

# Small programs that the functional tests and benchmarks run.
$(BUILD)/tests/tools/%: tests/tools/%.c $(BUILD)/libbrunt.a
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libbrunt.a $(LDLIBS) -lpthread

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(SOURCES) $(SKELS)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)$(CLANG) $(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -o $@ $< $(SOURCES) $(LDLIBS)

-include $(OBJECTS:.o=.d) $(BUILD)/injector/main.d $(UNIT:%=%.d) $(HELPERS:%=%.d)
