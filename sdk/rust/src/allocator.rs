//! A small allocator for wasm modules without the standard library: free lists
//! by size, over memory that is grown by the page.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::UnsafeCell;
use core::ptr::null_mut;

const PAGE: usize = 65536;
const SMALLEST: u32 = 4; // 16 bytes
const CLASSES: usize = 28; // up to 2 GiB

struct Allocator(UnsafeCell<State>);

struct State {
    free: [*mut u8; CLASSES], // of blocks of 16 << i bytes; each begins with the next one's address
    fresh: usize,             // memory that was never handed out
    end: usize,
}

// An instance has one thread.
unsafe impl Sync for Allocator {}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(State { free: [null_mut(); CLASSES], fresh: 0, end: 0 }));

/// The class whose blocks hold a layout. Blocks of a class are aligned to 16
/// bytes, and from a page on to a page.
fn class_of(layout: Layout) -> Option<usize> {
    if layout.align() > 16 && layout.align() > PAGE {
        return None;
    }
    let size = if layout.align() > 16 { layout.size().max(PAGE) } else { layout.size().max(1 << SMALLEST) };
    let class = (usize::BITS - (size - 1).leading_zeros()).saturating_sub(SMALLEST) as usize;
    (class < CLASSES).then_some(class)
}

impl State {
    /// Cuts a block from fresh memory, growing it where that is used up.
    fn cut(&mut self, class: usize) -> *mut u8 {
        let size = 1usize << (class as u32 + SMALLEST);
        if size >= PAGE {
            let at = memory_grow(0, size / PAGE);
            return if at == usize::MAX { null_mut() } else { (at * PAGE) as *mut u8 };
        }
        if self.end - self.fresh < size {
            let at = memory_grow(0, 1);
            if at == usize::MAX {
                return null_mut();
            }
            if at * PAGE != self.end {
                self.fresh = at * PAGE; // what is left of the page before is given up
            }
            self.end = (at + 1) * PAGE;
        }
        let block = self.fresh as *mut u8;
        self.fresh += size;
        block
    }
}

unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let state = unsafe { &mut *self.0.get() };
        let Some(class) = class_of(layout) else { return null_mut() };
        let block = state.free[class];
        if block.is_null() {
            return state.cut(class);
        }
        state.free[class] = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let state = unsafe { &mut *self.0.get() };
        let Some(class) = class_of(layout) else { return };
        unsafe { block.cast::<*mut u8>().write(state.free[class]) };
        state.free[class] = block;
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The caller has checked that size and alignment make a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if class_of(wanted) == class_of(layout) {
            return block;
        }
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            unsafe {
                core::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        moved
    }
}
