# Common tasks. `just` lists them; CONTRIBUTING.md explains them.

set shell := ["bash", "-euc"]
set windows-shell := ["bash", "-euc"]

# The crates whose tests need no pack.
fast := "-p codeact-base -p codeact-meter -p codeact-pack -p codeact-llm -p codeact-agent -p codeact-tools"

_default:
    @just --list --unsorted

# All tests; the first run installs and compiles the pack
test *args:
    cargo test --locked {{ args }}

# The tests that need no pack: about a minute
test-fast *args:
    cargo test --locked {{ fast }} {{ args }}

# All tests with cargo-nextest
nextest *args:
    cargo nextest run --locked {{ args }}

# Formatting, lints, spelling, import rings
lint: rings
    cargo fmt --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    typos

# Format the sources
fmt:
    cargo fmt

# API documentation
docs *args:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps {{ args }}

# The book in docs/, at a local address
book:
    mdbook serve docs --open

# Licences, bans and sources of dependencies; `just deny advisories` asks the advisory database
deny *checks="bans licenses sources":
    cargo deny --locked check {{ checks }}

# Run one fuzz target for some seconds; needs nightly Rust and cargo-fuzz
fuzz target seconds="60":
    cargo +nightly fuzz run {{ target }} -- -max_total_time={{ seconds }} -timeout=60

# Benchmarks against native CPython; without names all of them
bench *names:
    scripts/bench {{ names }}

# The size of the largest ring of files that import one another
rings *args="--max 6":
    scripts/import-rings {{ args }}

# Rates of words in comments (STYLE.md)
words *args:
    scripts/comment-words {{ args }}

# Show and accept changed text snapshots; needs cargo-insta
review:
    cargo insta review

# Record tests/cassettes again
cassettes:
    scripts/record-cassettes

# Everything that CI runs
ci:
    bash .ci/run
