//! `cargo +nightly fuzz run host_calls fuzz/corpus/host_calls fuzz/seeds/host_calls -- -max_len=4096 -timeout=60`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codeact_fuzz::host_calls(data));
