//! Write Sluice filters in Rust.
//!
//! A filter is a `cdylib` for `wasm32-unknown-unknown`. It names its hooks with
//! [`export!`]; each gets an [`Event`] and returns a [`Verdict`]:
//!
//! ```
//! # #![allow(unused)]
//! use sluice::{Code, Event, Verdict};
//!
//! sluice::export! { on_message: on_message }
//!
//! fn on_message(e: Event) -> Verdict {
//!     if e.payload().len() > 280 {
//!         return Verdict::deny(Code::TooLarge, "at most 280 bytes, please");
//!     }
//!     Verdict::CONTINUE
//! }
//! ```
//!
//! A filter with a configuration is a type that implements [`Configure`], and
//! its hooks are methods; `examples/hello` is one.
//!
//! # How outputs stay alive
//!
//! The node reads what a verdict points at after the hook has returned. A
//! `Verdict<'a>` therefore borrows: from the event, whose inputs live that long,
//! from the filter itself, from constants, or from nothing. A local variable's
//! storage ends with the hook, so the compiler refuses a verdict that borrows
//! from it. Nothing is copied and nothing has to be kept by hand.
//!
//! # Natively
//!
//! Compiled for anything but wasm the crate has a module `test`, with a host
//! for unit tests in which a filter runs as plain Rust.
#![no_std]
#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

mod event;
mod export;
mod host;
mod json;
mod meta;
mod rooms;
mod text;
mod verdict;

#[cfg(all(feature = "alloc", not(feature = "std"), target_arch = "wasm32"))]
mod allocator;
#[cfg(target_arch = "wasm32")]
mod memory;
#[cfg(not(target_arch = "wasm32"))]
pub mod test;

pub use event::{Event, Hook, Kind, Leave, Lookup};
pub use export::{Configure, Function, Method, Refusal};
pub use host::{
    bucket_take, counter_add, kv_delete, kv_get, kv_set, log, metric_add, now, random, verify, Bucket, Error, Level, Value,
};
pub use json::{Fault, FromJson, Json, Name, Str};
pub use meta::{Meta, MetaKind};
pub use rooms::{Pattern, MAX_PATTERN};
pub use text::Text;
pub use verdict::{Code, Identity, Verdict, MAX_CLAIMS, MAX_CONTENT, MAX_INFO, MAX_NAME, MAX_REASON, MAX_STATE};

/// What [`export!`] expands to needs these; nothing else does.
#[doc(hidden)]
pub mod __ {
    pub use crate::event::Raw;
    pub use crate::export::{configure, function, method, Slot};
    #[cfg(target_arch = "wasm32")]
    pub use crate::memory::buffer;
}
