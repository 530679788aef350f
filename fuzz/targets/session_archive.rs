//! `cargo +nightly fuzz run session_archive fuzz/corpus/session_archive fuzz/seeds/session_archive -- -max_len=4096 -timeout=60`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codeact_fuzz::session_archive(data));
