# The commands of the house. Each line is what a person would type.

GO ?= go

.PHONY: build test race e2e bench bench-side bench-dns bench-lists fuzz docs pictures check cross clean

build: ## the static program, ./nightlatch
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o nightlatch ./cmd/nightlatch

test: ## every test that needs no root and no network
	$(GO) test ./...

race:
	CGO_ENABLED=1 $(GO) test -race ./...

e2e: ## the whole house in network namespaces: needs root and Debian's packages (see .ci/run)
	$(GO) test -tags e2e -count=1 -v -timeout 10m -p 1 ./e2e/...

bench: ## what the program costs; run it alone
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-side: ## beside a kernel tunnel, nftables and unbound, in namespaces: needs root and Debian's iperf3 dnsperf unbound wireguard-go wireguard-tools nftables iproute2; BENCH_SECONDS, BENCH_ROUNDS, BENCH_ONLY
	$(GO) test -tags bench -count=1 -v -timeout 15m ./bench

bench-dns: ## answers a second on loopback, beside Debian's unbound, dnsmasq-base, dnsdist and knot-resolver where they are installed; BENCH_SECONDS, BENCH_ROUNDS, BENCH_ONLY, BENCH_LOAD
	$(GO) test -tags bench -count=1 -v -timeout 30m ./bench/dns

bench-lists: ## blocklists beside a Go map and other programs' matchers, over a million names of the data pack; the comparison is a module of its own
	$(GO) test -run '^$$' -bench 'Million|Resident|RefreshPeak|Match' -benchtime 2s ./blocklists
	cd bench/engines && $(GO) test -count=1 -v -run TestEngines .

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME
	@for dir in $$($(GO) list -f '{{.Dir}}' ./...); do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go 2>/dev/null | sed 's/^func //'); do \
	    echo "== $$dir $$f"; (cd $$dir && $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) .) || exit 1; \
	  done; done

docs: ## the pages that the program prints
	$(GO) run ./cmd/nightlatch docs config > docs/config.md
	$(GO) run ./cmd/nightlatch docs cli > docs/cli.md

pictures: ## the pictures of docs/: a simulated week in headless Chromium
	PICTURES=$(CURDIR)/docs/pictures $(GO) test -tags e2e -count=1 -run TestDashboard ./e2e/pages

check: ## what CI asks before it tests
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'gofmt would change these files'; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags e2e ./e2e/...
	$(GO) vet -tags bench ./bench ./bench/dns
	staticcheck ./...

cross: ## the program for every platform it is meant for
	@for p in linux/amd64 linux/arm64 linux/arm android/arm64 darwin/arm64 windows/amd64; do \
	  ext=; case $$p in windows/*) ext=.exe;; esac; \
	  echo "== $$p"; CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -trimpath -ldflags '-s -w' -o dist/nightlatch-$${p%/*}-$${p#*/}$$ext ./cmd/nightlatch || exit 1; \
	done; ls -l dist

clean:
	rm -rf nightlatch dist
