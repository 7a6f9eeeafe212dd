# Every target runs from a fresh clone with nothing but Go installed.
GO ?= go
# N: how many seeded random connections `make sim` runs; T: how long each fuzz
# target runs; PKG: what `make fuzz` and `make bench` look at.
N ?= 2000
T ?= 30s
PKG ?= ./...

.PHONY: check format vet staticcheck test race arch sim bench fuzz cross

# check is what has to pass before a commit reaches main.
check: format vet staticcheck test race

format:
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

test:
	$(GO) test ./...

# race leaves out what has the kernel's stack at the other end, which does not
# wait for code that the race detector slows down tenfold.
race:
	$(GO) test -race -short $$($(GO) list ./... | grep -v -e /interop$$ -e /cmd/)

# arch alone: the import table and the purity of the core.
arch:
	$(GO) test -count=1 ./internal/archtest

# sim runs N seeded random connections; a failure prints the seed, and
# `make sim SEED=n` runs that one again.
sim:
	BRAID_SIM_N=$(N) BRAID_SIM_SEED=$(SEED) $(GO) test -count=1 -timeout 60m -v -run '^TestRandom$$' ./stack

bench:
	$(GO) test -run '^$$' -bench . -benchmem $(PKG)

fuzz:
	@for pkg in $$($(GO) list $(PKG)); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(T) -fuzzminimizetime 10x -parallel 1 $$pkg || exit 1; \
		done; \
	done

# cross builds and vets for the systems whose parts say at run time what they
# cannot do.
cross:
	@for os in darwin windows freebsd; do echo "vet $$os"; GOOS=$$os $(GO) vet ./... || exit 1; done
