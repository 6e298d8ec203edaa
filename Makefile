# build, test, fuzz, bench, lint: each runs on a machine with only Go and git.
FUZZTIME ?= 15s
LDFLAGS  := -s -w

.PHONY: build test fuzz bench lint

build:
	CGO_ENABLED=0 go build -trimpath -tags urfave_cli_no_docs -ldflags '$(LDFLAGS)' -o leafseal ./cmd/leafseal

test:
	go test -timeout 30m ./...

# Every fuzz target for FUZZTIME; one without seeds fails. Go before 1.27 may
# fail at the end of the time without having found anything (go.dev/issue/75804).
fuzz:
	@set -e; for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; \
	    go test -run "^$$target$$" -v $$pkg | grep -q "^    --- PASS: $$target/" || { echo "$$target has no seeds, or they fail"; exit 1; }; \
	    if out=$$(go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg 2>&1); then echo "$$out" | tail -n 3; continue; fi; \
	    echo "$$out"; \
	    case "$$out" in *"Failing input"*) exit 1;; *"context deadline exceeded"*) ;; *) exit 1;; esac; \
	  done; done

# Against the peers, on the same files in one run; prints ratios.
bench:
	go run ./internal/bench

lint:
	go vet ./...
	test -z "$$(gofmt -l .)"
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./... || [ $$? -ne 3 ] # 3: found something; else its database is out of reach
