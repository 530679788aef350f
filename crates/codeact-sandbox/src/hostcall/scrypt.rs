//! The part of scrypt that needs memory (RFC 7914, `scryptROMix`). It takes hundreds of times longer in the guest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::hostcall::frames::{json_bytes, refusal};

/// Prefix of the request.
pub(super) const SCRYPT: &[u8] = br#"{"op":"scrypt""#;
/// Limit of the memory of a request, in bytes.
const MAX_MEMORY: usize = 64 << 20;
/// Work of mixing one byte, compared with copying it.
const WORK_PER_BYTE: u64 = 64;
/// Words of a Salsa20 block.
const WORDS: usize = 16;

type Block = [u32; WORDS];

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    /// CPU and memory cost, a power of two.
    n: usize,
    /// One block of the key: a multiple of 128 bytes, in base64.
    data: &'a str,
}

/// A valid request.
pub(super) struct Mix {
    n: usize,
    blocks: Vec<Block>,
}

impl Mix {
    /// Reads a request. The error is the answer to an invalid one.
    pub(super) fn read(frame: &[u8]) -> Result<Self, Vec<u8>> {
        let frame: Frame<'_> = serde_json::from_slice(frame)
            .map_err(|e| refusal(&format!("the host cannot read this request: {e}")))?;
        let data = (STANDARD.decode(frame.data))
            .map_err(|e| refusal(&format!("the data is not base64: {e}")))?;
        let memory = data.len().checked_mul(frame.n);
        if data.is_empty() || data.len() % 128 != 0 || !frame.n.is_power_of_two() || frame.n < 2 {
            return Err(refusal(
                "expected a power of two and a multiple of 128 bytes",
            ));
        }
        if memory.is_none_or(|memory| memory > MAX_MEMORY) {
            return Err(refusal(&format!(
                "scrypt may use {} MiB in the sandbox; choose a smaller n or r",
                MAX_MEMORY >> 20
            )));
        }
        let blocks = (data.as_chunks::<64>().0.iter())
            .map(|block| {
                let mut words = block.as_chunks::<4>().0.iter();
                std::array::from_fn(|_| words.next().map_or(0, |w| u32::from_le_bytes(*w)))
            })
            .collect();
        Ok(Self { n: frame.n, blocks })
    }

    /// Returns the work of the request, in bytes.
    pub(super) fn work(&self) -> u64 {
        2 * WORK_PER_BYTE * (self.n * self.blocks.len() * 64) as u64
    }

    /// Mixes the block and returns the answer.
    pub(super) fn run(self) -> Vec<u8> {
        let Self { n, blocks: mut x } = self;
        let len = x.len();
        let mut scratch = vec![[0; WORDS]; len];
        let mut table = Vec::with_capacity(n * len);
        for _ in 0..n {
            table.extend_from_slice(&x);
            mix_blocks(&mut x, &mut scratch);
        }
        for _ in 0..n {
            // The first word of the last block; `n` is a power of two below 2^32.
            let row = x.last().map_or(0, |block| block[0] as usize) & (n - 1);
            for (to, from) in x.iter_mut().zip(&table[row * len..][..len]) {
                xor(to, from);
            }
            mix_blocks(&mut x, &mut scratch);
        }
        let bytes: Vec<u8> = x.iter().flatten().flat_map(|w| w.to_le_bytes()).collect();
        json_bytes(&json!({ "data": STANDARD.encode(bytes) }))
    }
}

/// `scryptBlockMix`: `blocks` has an even length, and `scratch` the same one.
fn mix_blocks(blocks: &mut [Block], scratch: &mut [Block]) {
    let mut last = blocks.last().copied().unwrap_or_default();
    let half = blocks.len() / 2;
    for (i, block) in blocks.iter().enumerate() {
        xor(&mut last, block);
        salsa20_8(&mut last);
        scratch[i / 2 + (i % 2) * half] = last;
    }
    blocks.copy_from_slice(scratch);
}

fn xor(to: &mut Block, from: &Block) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}

/// Salsa20 with 8 rounds.
fn salsa20_8(block: &mut Block) {
    let mut x = *block;
    for _ in 0..4 {
        for [a, b, c, d] in [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]] {
            quarter_round(&mut x, a, b, c, d);
        }
        for [a, b, c, d] in [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]] {
            quarter_round(&mut x, a, b, c, d);
        }
    }
    for (to, from) in block.iter_mut().zip(x) {
        *to = to.wrapping_add(from);
    }
}

fn quarter_round(x: &mut Block, a: usize, b: usize, c: usize, d: usize) {
    x[b] ^= x[a].wrapping_add(x[d]).rotate_left(7);
    x[c] ^= x[b].wrapping_add(x[a]).rotate_left(9);
    x[d] ^= x[c].wrapping_add(x[b]).rotate_left(13);
    x[a] ^= x[d].wrapping_add(x[c]).rotate_left(18);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salsa20_8_has_the_result_of_rfc_7914() {
        let mut block = [
            0x219a_877e,
            0x86c9_3e4f,
            0xe640_a97c,
            0x268f_7141,
            0x5b55_eeba,
            0xb5c1_618c,
            0x1146_f80d,
            0x1d3b_cd6d,
            0x19f3_24ee,
            0x853d_9bdf,
            0x4b1e_1214,
            0x32aa_c55a,
            0x291d_0276,
            0x2948_c709,
            0x8dc6_ebed,
            0x5ec2_b8b8,
        ];
        salsa20_8(&mut block);
        let expected: Block = [
            0x9c85_1fa4,
            0x99cc_0866,
            0xcbca_813b,
            0x05ef_0c02,
            0x8121_4b04,
            0x7d33_fda2,
            0x631c_7bfd,
            0x292f_6896,
            0x6831_39b4,
            0xbce6_c9e3,
            0xb7c5_6bfe,
            0xba96_6da0,
            0x10cc_24e4,
            0x5c74_912c,
            0x3d67_ad24,
            0x818f_61c7,
        ];
        assert_eq!(block, expected);
    }

    #[test]
    fn requests_over_the_limits_are_refused() {
        let frame = |n: usize, bytes: usize| {
            let data = STANDARD.encode(vec![0; bytes]);
            Mix::read(format!(r#"{{"op":"scrypt","n":{n},"data":"{data}"}}"#).as_bytes())
        };
        assert!(frame(16, 128).is_ok());
        for (n, bytes) in [
            (0, 128),
            (1, 128),
            (3, 128),
            (16, 0),
            (16, 64),
            (1 << 30, 128),
            (usize::MAX, 128),
        ] {
            assert!(frame(n, bytes).is_err(), "{n} {bytes}");
        }
    }
}
