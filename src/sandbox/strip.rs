//! Leaves out of a module what running it does not need: its custom sections, above all the names
//! of its functions. They make a seventh of the pack, and each start would read them.

/// `module` without its custom sections; unchanged where its sections cannot be followed, which
/// the compiler will then complain about.
pub(crate) fn custom_sections(module: Vec<u8>) -> Vec<u8> {
    match without_custom(&module) {
        Some(stripped) => stripped,
        None => module,
    }
}

fn without_custom(module: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(8)?;
    let mut kept = Vec::with_capacity(module.len());
    kept.extend_from_slice(header);
    while let Some((&id, after_id)) = rest.split_first() {
        let (size, width) = leb_u32(after_id)?;
        let whole = 1 + width + size as usize;
        let (section, next) = rest.split_at_checked(whole)?;
        if id != 0 {
            kept.extend_from_slice(section);
        }
        rest = next;
    }
    Some(kept)
}

/// A LEB128 number and how many bytes it takes.
fn leb_u32(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value: u32 = 0;
    for (i, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7F).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";

    #[test]
    fn custom_sections_go_and_others_stay() {
        let module = [
            &HEADER[..],
            &[0, 3, 1, b'n', 9],
            &[1, 2, 8, 8],
            &[0, 0x81, 0, 0],
        ]
        .concat();
        let stripped = [&HEADER[..], &[1, 2, 8, 8]].concat();
        assert_eq!(custom_sections(module), stripped);
    }

    #[test]
    fn what_cannot_be_followed_is_left_alone() {
        for broken in [&b"\0as"[..], &[0, 9], &[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]] {
            let module = [&HEADER[..], broken].concat();
            assert_eq!(custom_sections(module.clone()), module);
        }
    }
}
