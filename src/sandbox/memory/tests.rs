//! Both ways of keeping an image give the same answers.

use super::{PAGE, Pages, copied};

fn image_bytes(pages: usize) -> Vec<u8> {
    (0..pages * PAGE)
        .map(|i| (i / PAGE + i % 251) as u8)
        .collect()
}

#[cfg(target_os = "linux")]
struct Region {
    at: *mut u8,
    len: usize,
}

#[cfg(target_os = "linux")]
impl Region {
    fn new(len: usize) -> Self {
        // SAFETY: a new anonymous mapping.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(at, libc::MAP_FAILED);
        Self { at: at.cast(), len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: maps `len` bytes, borrowed exclusively through `self`.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped.
        unsafe { libc::munmap(self.at.cast(), self.len) };
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_tells_exactly_the_pages_that_were_written() {
    let bytes = image_bytes(600);
    let image = super::mapped::image_of(&bytes);
    let mut region = Region::new(700 * PAGE);
    let memory = region.bytes();
    image.lay(memory).unwrap();
    assert_eq!(&memory[..bytes.len()], &bytes[..]);
    let written: Vec<u32> = (0..700)
        .filter(|p| p % 7 == 3 || (50..90).contains(p))
        .collect();
    for page in &written {
        memory[*page as usize * PAGE + 17] ^= 0xFF;
    }
    let mut changed = Vec::new();
    image.changed(memory, &mut changed).unwrap();
    assert_eq!(changed, written);
    assert_eq!(super::mapped::changed_by_reading(memory), written);

    let copied = copied::Image::from_bytes(bytes.clone()).unwrap();
    let mut compared = Vec::new();
    copied.changed(memory, &mut compared).unwrap();
    assert_eq!(compared, written);

    let (kept, mapped) = Pages::default().and(memory, &changed);
    assert!(!mapped);
    let inside: Vec<u32> = changed.iter().copied().filter(|p| *p < 600).collect();
    image.put_back(memory, &inside);
    assert_eq!(&memory[..bytes.len()], &bytes[..]);
    let mut other = Region::new(700 * PAGE);
    image.lay(other.bytes()).unwrap();
    kept.apply(other.bytes()).unwrap();
    let mut after = Vec::new();
    copied.changed(other.bytes(), &mut after).unwrap();
    assert_eq!(after, written);
}

#[test]
fn a_copied_image_is_put_back_where_it_changed() {
    let bytes = image_bytes(4);
    let image = copied::Image::from_bytes(bytes.clone()).unwrap();
    let mut memory = vec![0; 6 * PAGE];
    image.lay(&mut memory).unwrap();
    memory[PAGE] ^= 1;
    let mut changed = Vec::new();
    image.changed(&memory, &mut changed).unwrap();
    assert_eq!(changed, [1]);
    image.put_back(&mut memory, &changed);
    assert_eq!(&memory[..image.len()], &bytes[..]);
}

#[test]
fn an_image_that_is_no_whole_number_of_pages_is_refused() {
    assert!(copied::Image::from_bytes(vec![0; PAGE + 1]).is_err());
    assert!(copied::Image::from_bytes(Vec::new()).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn checkpoints_of_long_runs_share_what_has_not_changed() {
    let bytes = image_bytes(100);
    let image = super::mapped::image_of(&bytes);
    let mut region = Region::new(2000 * PAGE);
    let memory = region.bytes();
    image.lay(memory).unwrap();
    let mut changed = Vec::new();
    let mut kept: Vec<(Pages, Vec<u8>)> = vec![(Pages::default(), Vec::new())];
    // Runs that lie apart, over one another, within one another and across the image's end.
    for (round, run) in [200..900, 50..400, 600..1900, 700..1000, 0..2000, 300..310]
        .into_iter()
        .enumerate()
    {
        for page in run {
            memory[page * PAGE + round] ^= 0x5A;
        }
        image.changed(memory, &mut changed).unwrap();
        let (pages, _) = kept.last().unwrap().0.and(memory, &changed);
        kept.push((pages, memory.to_vec()));
    }
    // What was mapped counts as unchanged.
    image.changed(memory, &mut changed).unwrap();
    assert_eq!(changed, (300..310).collect::<Vec<u32>>());
    for (pages, expected) in kept.iter().skip(1) {
        let mut other = Region::new(2000 * PAGE);
        image.lay(other.bytes()).unwrap();
        pages.apply(other.bytes()).unwrap();
        assert!(
            other.bytes() == &expected[..],
            "a checkpoint came back otherwise"
        );
    }
    // The first ones let go of what only they had; the last still has its own.
    let (last, expected) = kept.pop().unwrap();
    drop(kept);
    let mut other = Region::new(2000 * PAGE);
    image.lay(other.bytes()).unwrap();
    last.apply(other.bytes()).unwrap();
    assert!(other.bytes() == &expected[..]);
}
