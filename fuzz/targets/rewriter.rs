//! `cargo +nightly fuzz run rewriter fuzz/corpus/rewriter fuzz/seeds/rewriter -- -max_len=4096 -timeout=60`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codeact_fuzz::rewriter(data));
