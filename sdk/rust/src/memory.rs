//! What a wasm module needs of its own: the event's buffer and a panic handler.

use core::arch::wasm32::{memory_grow, memory_size};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PAGE: usize = 65536;

/// A growing buffer in pages of its own, which no allocator touches.
#[doc(hidden)]
pub fn buffer(min: u32) -> *mut u8 {
    static BASE: AtomicUsize = AtomicUsize::new(0); // what was given out last, in pages
    static PAGES: AtomicUsize = AtomicUsize::new(0);
    let want = (min as usize).div_ceil(PAGE).max(1);
    let (mut base, mut have) = (BASE.load(Relaxed), PAGES.load(Relaxed));
    if want > have {
        let end = memory_size(0);
        if have == 0 || base + have != end {
            // Somebody else has grown memory: begin behind it.
            (base, have) = (end, 0);
        }
        if memory_grow(0, want - have) == usize::MAX {
            return core::ptr::null_mut();
        }
        BASE.store(base, Relaxed);
        PAGES.store(want, Relaxed);
    }
    (base * PAGE) as *mut u8
}

/// A panic is a trap: the host counts it and replaces the instance.
#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
