//! The global allocator: the C library's; for svscan also a heap of its own, which a child that
//! continues as a supervise unmaps.
//!
//! A page that a child inherits is shared until parent or child writes to it (copy on write);
//! then each has a private copy. svscan writes to its tables for as long as it runs, so each
//! supervise would end up with private copies of them. They are in one mapping instead, which
//! the child unmaps.
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

/// There is no heap, or it was unmapped.
const OFF: u8 = 0;
/// New blocks come from the heap.
const ON: u8 = 1;
/// In a child: new blocks come from the C library, and blocks of the heap are not freed.
const LEFT: u8 = 2;

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
        // SAFETY: the beginning of the mapping.
        if unsafe { libc::mprotect(start, STEP, USABLE) } != 0 {
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
        if STATE.load(Ordering::Relaxed) != ON {
            return None;
        }
        let begin = ptr::with_exposed_provenance_mut(BEGIN.load(Ordering::Relaxed));
        NonNull::new(begin).map(Heap)
    }

    /// Whether `block` is in the heap.
    fn is_in_heap(block: *mut u8) -> bool {
        STATE.load(Ordering::Relaxed) != OFF
            && block.addr().wrapping_sub(BEGIN.load(Ordering::Relaxed)) < SIZE
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
        if !Self::is_in_heap(block) {
            // SAFETY: what is not in the heap is the C library's.
            unsafe { System.dealloc(block, layout) };
        } else if let Some((heap, block)) = Self::heap().zip(NonNull::new(block)) {
            // SAFETY: as this function.
            unsafe { heap.give(block, layout) };
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !Self::is_in_heap(block) {
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

/// In a child: new allocations come from the C library. What is in the heap can still be used.
pub fn leave() {
    if STATE.load(Ordering::Relaxed) == ON {
        STATE.store(LEFT, Ordering::Relaxed);
    }
}

/// In a child that has left the heap and needs only `kept` from it: copies that, unmaps the
/// heap, calls `work` with the copy, and exits with the status that `work` returns. `Kept` owns
/// all its data: a clone shares nothing with the original.
pub fn without<Kept: Clone + 'static>(kept: &Kept, work: fn(Kept) -> u8) -> ! {
    let kept = kept.clone();
    if STATE.load(Ordering::Relaxed) == LEFT {
        // Later mappings at its addresses do not belong to it.
        STATE.store(OFF, Ordering::Relaxed);
        let begin = ptr::with_exposed_provenance_mut(BEGIN.load(Ordering::Relaxed));
        // SAFETY: the whole mapping. `work` is a plain function that captures nothing, its
        // argument comes from the other allocator, and nothing else runs in this process.
        unsafe { libc::munmap(begin, SIZE) };
    }
    let code = work(kept);
    // SAFETY: _exit does not return and runs no exit handler of the parent.
    unsafe { libc::_exit(code.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::numbers::Numbers;
    use crate::sys::child;

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

    #[test]
    fn a_child_goes_on_with_its_copy_when_the_heap_is_gone() {
        // In a process of its own: the tests have threads.
        let pid = child::spawn(|| {
            let before = vec![1_u8; 100];
            begin();
            let mut words: Vec<String> = (0..1000).map(|n| format!("word {n}")).collect();
            words.extend_from_slice(&[String::new(), "a".repeat(100_000)]);
            drop(before);
            let is_used = Allocator::is_in_heap(words.as_mut_ptr().cast());
            let grandchild = child::spawn(|| {
                leave();
                words.push("after".to_owned());
                without(&words, |mut words| {
                    let is_left = !Allocator::is_in_heap(words.as_mut_ptr().cast());
                    words.push("last".to_owned());
                    let right = words.len() == 1004 && words.concat().len() > 100_000;
                    u8::from(!(right && is_left))
                })
            });
            let end = grandchild.and_then(child::wait);
            u8::from(!is_used || end.ok() != Some(End::Exited(0)) || words.len() != 1002)
        });
        assert_eq!(child::wait(pid.unwrap()).unwrap(), End::Exited(0));
    }
}
