//! Copies and fills of memory have the same effect in chunks.

use proptest::prelude::*;

use super::harness::{module, start};

/// Exports that read their operands from memory.
const BULK: &str = r#"
    (func (export "copy") (param $at i32) (result i32)
        (memory.copy
            (i32.load (local.get $at))
            (i32.load offset=4 (local.get $at))
            (i32.load offset=8 (local.get $at)))
        (i32.const 0))
    (func (export "fill") (param $at i32) (result i32)
        (memory.fill
            (i32.load (local.get $at))
            (i32.load offset=4 (local.get $at))
            (i32.load offset=8 (local.get $at)))
        (i32.const 0))"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn memory_is_copied_and_filled_as_before_and_charged_by_the_chunk(
        (to, from) in (4096u32..3_000_000, 4096u32..3_000_000),
        distance in proptest::option::of(-5000i32..5000),
        len in prop_oneof![0u32..4000, 0u32..2_200_000],
        fill in any::<bool>(),
        seed in any::<u8>(),
    ) {
        let from = distance.map_or(from, |by| to.saturating_add_signed(by).max(4096));
        let mut running = start(&module(BULK), 1 << 40, 100);
        let memory = running.instance.get_memory(&mut running.store, "memory").unwrap();
        let bytes = memory.data_mut(&mut running.store);
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed;
        }
        for (i, number) in [to, from, len].into_iter().enumerate() {
            bytes[4 * i..4 * i + 4].copy_from_slice(&number.to_le_bytes());
        }
        let mut expected = bytes.to_vec();
        let (to, from, len) = (to as usize, from as usize, len as usize);
        match fill {
            true => expected[to..to + len].fill(from as u8),
            false => expected.copy_within(from..from + len, to),
        }
        running.call(if fill { "fill" } else { "copy" }, 0).unwrap();
        prop_assert!(memory.data(&running.store) == &expected[..]);
        let charged_chunks = if len == 0 { 0 } else { (len - 1) >> 20 };
        prop_assert_eq!(running.used(), charged_chunks as i64 * (1 << 18));
    }
}
