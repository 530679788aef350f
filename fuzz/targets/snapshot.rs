//! `cargo +nightly fuzz run snapshot fuzz/corpus/snapshot fuzz/seeds/snapshot -- -max_len=4096 -timeout=60`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codeact_fuzz::snapshot(data));
