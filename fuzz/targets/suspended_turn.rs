//! `cargo +nightly fuzz run suspended_turn fuzz/corpus/suspended_turn fuzz/seeds/suspended_turn -- -max_len=4096 -timeout=60`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codeact_fuzz::suspended_turn(data));
