//! `cargo +nightly fuzz run reply fuzz/corpus/reply fuzz/seeds/reply -- -max_len=4096 -timeout=60`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codeact_fuzz::reply(data));
