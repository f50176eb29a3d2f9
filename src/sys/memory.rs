//! Releasing unused memory, and checking whether memory is available.

use std::mem::MaybeUninit;

/// Releases the pages that are completely within `room` (madvise(2), MADV_DONTNEED). They stay
/// mapped, read as zeros, and use memory again when they are written.
pub fn release(room: &mut [MaybeUninit<u8>]) {
    // SAFETY: sysconf only queries.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0);
    let start = room.as_mut_ptr();
    let before = start.align_offset(page.max(1));
    let pages = room.len().saturating_sub(before) / page.max(1) * page;
    if pages > 0 {
        // SAFETY: the range is within `room`, which is borrowed mutably and which the allocator
        // got from mmap or brk: private memory, which reads as zeros afterwards. An error
        // leaves it unchanged.
        unsafe { libc::madvise(start.add(before).cast(), pages, libc::MADV_DONTNEED) };
    }
}

/// Whether this process can allocate another `bytes` bytes: a limit (setrlimit(2)) makes
/// allocations fail, and Rust's collections abort the process then.
pub fn is_available(bytes: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address that the kernel chooses, in unused address space.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the whole mapping, to which nothing refers.
    unsafe { libc::munmap(start, bytes) };
    true
}

/// If a limit leaves fewer than `bytes` bytes, makes the heap grow by no more than needed. By
/// default glibc extends it by another 128 KiB each time, which the limit may refuse though the
/// allocation itself would fit. musl does not do that.
pub fn spare_where_short(bytes: usize) {
    #[cfg(target_env = "gnu")]
    if !is_available(bytes) {
        // SAFETY: it sets a parameter of the allocator; this process has one thread.
        unsafe { libc::mallopt(libc::M_TOP_PAD, 0) };
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_zeros_and_its_neighbours_are_untouched() {
        let mut bytes = vec![7_u8; 100_000];
        let (left, right) = (1_001, 90_003);
        release(as_room(&mut bytes[left..right]));
        assert!(
            bytes[..left]
                .iter()
                .chain(&bytes[right..])
                .all(|byte| *byte == 7)
        );
        let zeros = bytes.iter().filter(|byte| **byte == 0).count();
        assert!((80_000..=right - left).contains(&zeros), "{zeros}");
        assert!(bytes.iter().all(|byte| [0, 7].contains(byte)));
        release(as_room(&mut bytes[10..20]));
        release(&mut []);
    }

    fn as_room(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
        // SAFETY: initialized bytes are valid as MaybeUninit bytes; what is written back is
        // zeros.
        unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
    }

    #[test]
    fn what_no_process_can_have_is_not_available() {
        assert!(is_available(1 << 20));
        assert!(!is_available(usize::MAX / 4));
    }

    #[test]
    fn what_a_vector_holds_stays_when_its_room_is_given_back() {
        let mut bytes = Vec::with_capacity(200_000);
        bytes.extend_from_slice(&[7_u8; 100_000]);
        release(bytes.spare_capacity_mut());
        bytes.extend_from_slice(&[8_u8; 50_000]);
        assert!(bytes[..100_000].iter().all(|byte| *byte == 7));
        assert!(bytes[100_000..].iter().all(|byte| *byte == 8));
    }
}
