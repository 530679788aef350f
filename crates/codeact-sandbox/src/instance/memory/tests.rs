//! Tests of mapped and copied images: both give the same results.

use crate::instance::memory::{PAGE, Pages, copied};

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
        // SAFETY: unmaps the mapping of `new`.
        unsafe { libc::munmap(self.at.cast(), self.len) };
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_reports_exactly_the_written_pages() {
    let bytes = image_bytes(600);
    let image = crate::instance::memory::mapped::image_of(&bytes);
    let mut region = Region::new(700 * PAGE);
    let memory = region.bytes();
    image.map_over(memory).unwrap();
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

    let (pages, mapped) = Pages::default().with_changes(memory, &changed);
    assert!(!mapped);
    let inside: Vec<u32> = changed.iter().copied().filter(|p| *p < 600).collect();
    image.reset_pages(memory, &inside);
    assert_eq!(&memory[..bytes.len()], &bytes[..]);
    let mut other = Region::new(700 * PAGE);
    image.map_over(other.bytes()).unwrap();
    pages.apply(other.bytes()).unwrap();
    let mut after = Vec::new();
    copied.changed(other.bytes(), &mut after).unwrap();
    assert_eq!(after, written);
}

#[test]
fn changed_pages_of_a_copied_image_are_reset() {
    let bytes = image_bytes(4);
    let image = copied::Image::from_bytes(bytes.clone()).unwrap();
    let mut memory = vec![0; 6 * PAGE];
    image.map_over(&mut memory).unwrap();
    memory[PAGE] ^= 1;
    let mut changed = Vec::new();
    image.changed(&memory, &mut changed).unwrap();
    assert_eq!(changed, [1]);
    image.reset_pages(&mut memory, &changed);
    assert_eq!(&memory[..image.len()], &bytes[..]);
}

#[test]
fn an_image_with_a_partial_page_is_refused() {
    assert!(copied::Image::from_bytes(vec![0; PAGE + 1]).is_err());
    assert!(copied::Image::from_bytes(Vec::new()).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn checkpoints_of_long_runs_restore_their_own_content() {
    let bytes = image_bytes(100);
    let image = crate::instance::memory::mapped::image_of(&bytes);
    let mut region = Region::new(2000 * PAGE);
    let memory = region.bytes();
    image.map_over(memory).unwrap();
    let mut changed = Vec::new();
    let mut checkpoints: Vec<(Pages, Vec<u8>)> = vec![(Pages::default(), Vec::new())];
    // Runs that are disjoint, overlapping, nested, and across the end of the image.
    for (round, run) in [200..900, 50..400, 600..1900, 700..1000, 0..2000, 300..310]
        .into_iter()
        .enumerate()
    {
        for page in run {
            memory[page * PAGE + round] ^= 0x5A;
        }
        image.changed(memory, &mut changed).unwrap();
        let (pages, _) = checkpoints.last().unwrap().0.with_changes(memory, &changed);
        checkpoints.push((pages, memory.to_vec()));
    }
    // Mapped segments count as unchanged.
    image.changed(memory, &mut changed).unwrap();
    assert_eq!(changed, (300..310).collect::<Vec<u32>>());
    for (pages, expected) in checkpoints.iter().skip(1) {
        let mut other = Region::new(2000 * PAGE);
        image.map_over(other.bytes()).unwrap();
        pages.apply(other.bytes()).unwrap();
        assert!(
            other.bytes() == &expected[..],
            "a checkpoint was restored with other content"
        );
    }
    // Dropping the others frees only segments that the last one does not have.
    let (last, expected) = checkpoints.pop().unwrap();
    drop(checkpoints);
    let mut other = Region::new(2000 * PAGE);
    image.map_over(other.bytes()).unwrap();
    last.apply(other.bytes()).unwrap();
    assert!(other.bytes() == &expected[..]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_run_is_stored_in_pieces_and_read_back() {
    // Two segments of the maximum size, and pages that are too few for a third.
    let pages = 2 * 4096 + 7;
    let bytes = image_bytes(pages);
    let mut region = Region::new(pages * PAGE);
    region.bytes().copy_from_slice(&bytes);
    let changed: Vec<u32> = (0..pages as u32).collect();
    let (stored, mapped) = Pages::default().with_changes(region.bytes(), &changed);
    assert!(mapped && stored.has_segments());
    assert_eq!(region.bytes(), &bytes);
    assert_eq!(stored.runs(), [(0, pages as u32)]);
    // The image ends within the second segment; what equals it is written as zeros.
    let image = &bytes[..5000 * PAGE];
    let mut file = Vec::new();
    stored.write_to(&stored.runs(), image, &mut file).unwrap();
    let (inside, beyond) = file.split_at(5000 * PAGE);
    assert!(inside.iter().all(|byte| *byte == 0));
    assert!(beyond == &bytes[5000 * PAGE..]);
    let read = Pages::read_from(pages * PAGE, &stored.runs(), image, &mut &*file).unwrap();
    let mut again = Region::new(pages * PAGE);
    read.apply(again.bytes()).unwrap();
    assert!(again.bytes() == &bytes[..]);
}
