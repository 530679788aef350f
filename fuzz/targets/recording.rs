//! `cargo +nightly fuzz run recording fuzz/corpus/recording fuzz/seeds/recording -- -max_len=4096 -timeout=60`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codeact_fuzz::recording(data));
