//! The global allocator: the C library's; for svscan also a heap of its own, which its children
//! do not inherit.
//!
//! A page that a child inherits is shared until parent or child writes to it (copy on write);
//! then each has a private copy. svscan writes to its tables for as long as it runs, so each
//! supervise would end up with private copies of them, and each fork(2) would copy the page
//! tables. They are in one mapping instead, which fork(2) leaves out (MADV_DONTFORK). What a
//! child needs is allocated [`outside`].
//!
//! The heap is simple, because it has one user: block sizes are powers of two, there is a free
//! list for each size, and blocks are never split or joined. What does not fit comes from the C
//! library.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The address space to reserve; only the pages in use count as memory.
const SIZE: usize = 64 << 20;

/// The number of bytes that become usable at a time: a multiple of any page size.
const STEP: usize = 64 << 10;

/// The smallest block size, and the alignment of every block.
const SMALLEST: usize = 16;

/// There is no heap.
const OFF: u8 = 0;
/// New blocks come from the heap.
const ON: u8 = 1;
/// New blocks come from the C library.
const OUTSIDE: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(OFF);
/// The address of the heap.
static BEGIN: AtomicUsize = AtomicUsize::new(0);

const USABLE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// The data at the beginning of the heap.
struct Head {
    /// The free lists, by the binary logarithm of the block size. Each free block contains the
    /// address of the next.
    free: [*mut u8; usize::BITS as usize],
    /// The number of bytes that were ever allocated.
    used: usize,
    /// The number of bytes that are usable.
    ready: usize,
}

/// The binary logarithm of the block size for `layout`; None if it does not fit.
fn class(layout: Layout) -> Option<u32> {
    let size = layout.size().max(SMALLEST).checked_next_power_of_two()?;
    (layout.align() <= SMALLEST && size < SIZE).then_some(size.trailing_zeros())
}

/// A heap of this process.
#[derive(Clone, Copy)]
struct Heap(NonNull<Head>);

impl Heap {
    /// Maps [`SIZE`] bytes; None if a limit forbids it.
    fn map() -> Option<Heap> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // PROT_NONE pages do not count where the kernel does not overcommit memory.
        // SAFETY: a new mapping at an address that the kernel chooses, in unused address space.
        let start = unsafe { libc::mmap(ptr::null_mut(), SIZE, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the whole mapping, and its beginning.
        let (left_out, usable) = unsafe {
            let left_out = libc::madvise(start, SIZE, libc::MADV_DONTFORK);
            (left_out, libc::mprotect(start, STEP, USABLE))
        };
        if (left_out, usable) != (0, 0) {
            // SAFETY: the whole mapping, to which nothing refers.
            unsafe { libc::munmap(start, SIZE) };
            return None;
        }
        // SAFETY: the whole mapping. Huge pages would use, and copy, more memory than needed.
        unsafe { libc::madvise(start, SIZE, libc::MADV_NOHUGEPAGE) };
        let head = NonNull::new(start.cast::<Head>())?;
        let used = size_of::<Head>().next_multiple_of(SMALLEST);
        let free = [ptr::null_mut(); usize::BITS as usize];
        // SAFETY: the mapping is page-aligned, larger than this, and not used otherwise.
        unsafe {
            head.write(Head {
                free,
                used,
                ready: STEP,
            })
        };
        Some(Heap(head))
    }

    /// Allocates a block for `layout`; None if there is none.
    fn take(self, layout: Layout) -> Option<NonNull<u8>> {
        let class = class(layout)?;
        // SAFETY: `map` has initialized it, and there is no other reference to it.
        let head = unsafe { &mut *self.0.as_ptr() };
        let first = head.free.get_mut(class as usize)?;
        if let Some(block) = NonNull::new(*first) {
            // SAFETY: `give` has stored the next one there.
            *first = unsafe { block.cast().read() };
            return Some(block);
        }
        let end = head
            .used
            .checked_add(1 << class)
            .filter(|end| *end <= SIZE)?;
        // SAFETY: `used` is within the mapping, and what follows was never allocated.
        let block = unsafe { self.0.cast::<u8>().add(head.used) };
        if end > head.ready {
            let ready = end.next_multiple_of(STEP);
            // SAFETY: the range between the two is within the mapping, whose size is a multiple
            // of STEP.
            let answer = unsafe {
                let begin = self.0.cast::<u8>().add(head.ready).as_ptr().cast();
                libc::mprotect(begin, ready.checked_sub(head.ready)?, USABLE)
            };
            if answer != 0 {
                return None;
            }
            head.ready = ready;
        }
        head.used = end;
        Some(block)
    }

    /// Frees a block.
    ///
    /// # Safety
    /// [`Heap::take`] has returned it for this `layout`, and it is not used after this.
    unsafe fn give(self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: as in `take`.
        let head = unsafe { &mut *self.0.as_ptr() };
        if let Some(first) = class(layout).and_then(|class| head.free.get_mut(class as usize)) {
            // SAFETY: each block has the size and alignment of an address.
            unsafe { block.cast().write(*first) };
            *first = block.as_ptr();
        }
    }
}

struct Allocator;

impl Allocator {
    /// The heap, if new blocks come from it.
    fn heap() -> Option<Heap> {
        match STATE.load(Ordering::Relaxed) {
            ON => Self::mapped(),
            _ => None,
        }
    }

    /// The heap, if `block` is in it.
    fn heap_of(block: *mut u8) -> Option<Heap> {
        let is_in = STATE.load(Ordering::Relaxed) != OFF
            && block.addr().wrapping_sub(BEGIN.load(Ordering::Relaxed)) < SIZE;
        is_in.then(Self::mapped).flatten()
    }

    fn mapped() -> Option<Heap> {
        let begin = ptr::with_exposed_provenance_mut(BEGIN.load(Ordering::Relaxed));
        NonNull::new(begin).map(Heap)
    }
}

// SAFETY: each block comes from the C library or from the heap, which only single-threaded
// processes use, and in which no two blocks overlap.
unsafe impl GlobalAlloc for Allocator {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Self::heap().and_then(|heap| heap.take(layout)) {
            Some(block) => block.as_ptr(),
            // SAFETY: as this function.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match Self::heap().and_then(|heap| heap.take(layout)) {
            Some(block) => {
                // SAFETY: a block of at least this size.
                unsafe { block.write_bytes(0, layout.size()) };
                block.as_ptr()
            }
            // SAFETY: as this function.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match Self::heap_of(block).zip(NonNull::new(block)) {
            // SAFETY: as this function.
            Some((heap, block)) => unsafe { heap.give(block, layout) },
            // SAFETY: what is not in the heap is the C library's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Self::heap_of(block).is_none() {
            // SAFETY: what is not in the heap is the C library's.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller guarantees that.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if class(layout) == class(new) {
            return block;
        }
        // SAFETY: as this function; the new block is another one.
        unsafe {
            let place = self.alloc(new);
            if !place.is_null() {
                ptr::copy_nonoverlapping(block, place, layout.size().min(size));
                self.dealloc(block, layout);
            }
            place
        }
    }
}

/// From now on this process allocates from a heap of its own, if it can map one. For a
/// single-threaded process.
pub fn begin() {
    if STATE.load(Ordering::Relaxed) == OFF
        && let Some(heap) = Heap::map()
    {
        BEGIN.store(heap.0.as_ptr().expose_provenance(), Ordering::Relaxed);
        STATE.store(ON, Ordering::Relaxed);
    }
}

/// What `make` returns, allocated by the C library, so that a child has it, too.
pub fn outside<T>(make: impl FnOnce() -> T) -> T {
    let state = STATE.load(Ordering::Relaxed);
    if state == ON {
        STATE.store(OUTSIDE, Ordering::Relaxed);
    }
    let made = make();
    STATE.store(state, Ordering::Relaxed);
    made
}

/// In a child, which has no heap, before it allocates anything.
pub(super) fn end() {
    STATE.store(OFF, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::numbers::Numbers;
    use crate::sys::child;
    use crate::sys::spawn::Spawn;
    use std::path::Path;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn blocks_do_not_overlap_and_are_used_again() {
        let heap = Heap::map().unwrap();
        // SAFETY: `map` has initialized it, and this heap is not used elsewhere.
        let used = || unsafe { heap.0.as_ref().used };
        let mut numbers = Numbers(1);
        let mut blocks: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
        let mut used_before = 0;
        for round in 0..40_000_u32 {
            if blocks.len() == 200 {
                let at = usize::try_from(numbers.next() % 200).unwrap();
                let (block, size, byte) = blocks.swap_remove(at);
                // SAFETY: it was given for this layout, and is written in full.
                unsafe {
                    let bytes = std::slice::from_raw_parts(block.as_ptr(), size);
                    assert!(bytes.iter().all(|other| *other == byte));
                    heap.give(block, layout(size));
                }
            }
            let size = usize::try_from(1 + numbers.next() % 3000).unwrap();
            let block = heap.take(layout(size)).unwrap();
            assert!(block.addr().get().is_multiple_of(SMALLEST));
            let byte = round.to_le_bytes()[0];
            // SAFETY: a new block of this size.
            unsafe { block.write_bytes(byte, size) };
            blocks.push((block, size, byte));
            if round == 20_000 {
                used_before = used();
            }
        }
        // No more than 200 of each size at a time.
        assert!(used() < 200 * 2 * 4096, "{}", used());
        assert!(used() - used_before < 64 * 1024);
        // SAFETY: it is not used after this.
        unsafe { libc::munmap(heap.0.as_ptr().cast(), SIZE) };
    }

    #[test]
    fn what_does_not_fit_in_is_left_to_the_c_library() {
        let heap = Heap::map().unwrap();
        assert!(heap.take(layout(SIZE)).is_none());
        assert!(
            heap.take(Layout::from_size_align(8, 4096).unwrap())
                .is_none()
        );
        let half = layout(SIZE / 2);
        assert!(heap.take(half).is_some());
        assert!(heap.take(half).is_none());
        assert!(heap.take(layout(100)).is_some());
        // SAFETY: it is not used after this.
        unsafe { libc::munmap(heap.0.as_ptr().cast(), SIZE) };
    }

    /// Whether this process has a mapping that contains `address`.
    fn is_mapped(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| {
            let (begin, rest) = line.split_once('-').unwrap();
            let (end, _) = rest.split_once(' ').unwrap();
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            (number(begin)..number(end)).contains(&address)
        })
    }

    #[test]
    fn a_child_has_what_was_made_outside_and_not_the_heap() {
        // In a process of its own: the tests have threads.
        let pid = child::spawn(|| {
            let before = vec![1_u8; 100];
            begin();
            let mut words: Vec<String> = (0..1000).map(|n| format!("word {n}")).collect();
            words.extend_from_slice(&[String::new(), "a".repeat(100_000)]);
            drop(before);
            let kept = outside(|| words.clone());
            let is_in_heap = |block: &String| Allocator::heap_of(block.as_ptr().cast_mut());
            assert!(
                words
                    .iter()
                    .take(1000)
                    .all(|word| is_in_heap(word).is_some())
            );
            assert!(kept.iter().all(|word| is_in_heap(word).is_none()));
            let address = BEGIN.load(Ordering::Relaxed);
            // Longer than a path that std copies to the stack.
            let path = outside(|| "./".repeat(500));
            let grandchild = Spawn::new().directory(Path::new(&path)).start(|ready| {
                assert!(ready.is_ok());
                assert!(!is_mapped(address));
                let mut kept = kept.clone();
                kept.push("last".to_owned());
                assert_eq!(kept.len(), 1003);
                0
            });
            let grandchild = grandchild.and_then(|proc| child::wait(proc.pid()));
            assert_eq!(grandchild.unwrap(), End::Exited(0));
            assert!(is_mapped(address));
            drop(kept);
            words.push("after".to_owned());
            assert!(is_in_heap(words.last().unwrap()).is_some());
            0
        });
        assert_eq!(child::wait(pid.unwrap()).unwrap(), End::Exited(0));
    }
}
