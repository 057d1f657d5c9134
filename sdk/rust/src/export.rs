//! From the host's calls to the filter's functions.

use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;

use crate::event::{Event, Raw, Span};
use crate::json::{Fault, Json};
use crate::text::Text;
use crate::verdict::Verdict;

/// A hook of a filter that has a configuration. The verdict may borrow from the
/// filter and from the event.
pub type Method<F> = for<'a> fn(&'a mut F, Event<'a>) -> Verdict<'a>;

/// A hook of a filter that has none.
pub type Function = for<'a> fn(Event<'a>) -> Verdict<'a>;

/// A filter that is made from its configuration, once for each instance. Several
/// instances serve all connections, so what belongs to a connection goes into
/// its state.
pub trait Configure: Sized {
    /// Reads the filter's `config:`; `{}` if there is none. What is refused is
    /// shown to whoever wrote it.
    fn configure(config: Json<'_>) -> Result<Self, Refusal>;
}

/// Why a configuration is refused. Made from a text, or composed:
///
/// ```
/// let r = sluice::Refusal::from("words[").int(3).text("] is empty");
/// assert_eq!(r.as_str(), "words[3] is empty");
/// ```
#[derive(Clone, Debug)]
pub struct Refusal(Text<256>);

impl Refusal {
    /// Adds a text. What does not fit into 256 bytes is left out.
    #[must_use]
    pub fn text(mut self, text: &str) -> Refusal {
        self.0.push(text);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn int(mut self, n: i64) -> Refusal {
        self.0.push_int(n);
        self
    }

    /// The whole reason.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<&str> for Refusal {
    #[inline(never)]
    fn from(text: &str) -> Refusal {
        let mut t = Text::new();
        t.push(text);
        Refusal(t)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::from("the configuration at byte ").int(fault.at as i64).text(": ").text(fault.what)
    }
}

/// Storage that only one thread at a time ever sees: an instance of a wasm module
/// has one, and the host never enters it twice. Empty it is all zeros, which takes
/// no room in the module, as an `Option` might.
#[doc(hidden)]
pub struct Slot<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    filled: Cell<bool>,
}

#[cfg(target_arch = "wasm32")]
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// Storage that holds nothing.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Slot<T> {
        Slot { value: UnsafeCell::new(MaybeUninit::uninit()), filled: Cell::new(false) }
    }

    /// # Safety
    /// What an earlier call of this or of `get` returned must not be used any more.
    #[allow(clippy::mut_from_ref)]
    unsafe fn set(&self, value: T) -> &mut T {
        if self.filled.replace(true) {
            unsafe { (*self.value.get()).assume_init_drop() };
        }
        unsafe { (*self.value.get()).write(value) }
    }

    /// # Safety
    /// As for `set`.
    #[allow(clippy::mut_from_ref)]
    unsafe fn get(&self) -> Option<&mut T> {
        if !self.filled.get() {
            return None;
        }
        Some(unsafe { (*self.value.get()).assume_init_mut() })
    }
}

/// # Safety
/// The host calls it, with an event.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn function(raw: *mut Raw, hook: Function) -> i32 {
    unsafe { hook(Event::new(raw)).write(raw) }
}

/// # Safety
/// The host calls it, with an event.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn method<F>(raw: *mut Raw, filter: &Slot<F>, hook: Method<F>) -> i32 {
    match unsafe { filter.get() } {
        Some(filter) => unsafe { hook(filter, Event::new(raw)).write(raw) },
        None => -1, // never: the host configures first
    }
}

/// # Safety
/// The host calls it, with an event.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn configure<F: Configure>(raw: *mut Raw, filter: &Slot<F>, refusal: &Slot<Refusal>) -> i32 {
    let why = match F::configure(Json::new(unsafe { Event::new(raw) }.payload())) {
        Ok(made) => {
            unsafe { filter.set(made) };
            return 0;
        }
        Err(why) => unsafe { refusal.set(why) },
    };
    unsafe { Verdict::deny(crate::Code::Invalid, why.as_str()).write(raw) }
}

const KEPT: usize = 4096; // the most that a configuration allows

/// Copies a state to where it stays until the host has read it.
pub(crate) fn keep_state(state: &[u8]) -> Option<Span> {
    if state.len() > KEPT {
        return None;
    }
    #[cfg(target_arch = "wasm32")]
    {
        static STATE: Slot<[u8; KEPT]> = Slot::new();
        let kept = STATE.value.get().cast::<u8>();
        unsafe { core::ptr::copy_nonoverlapping(state.as_ptr(), kept, state.len()) };
        Some(Span { ptr: kept, len: state.len() as u32 })
    }
    #[cfg(not(target_arch = "wasm32"))]
    Some(crate::test::keep(state))
}

/// Makes a module a filter, with the hooks that are named and no others. Once in
/// a module.
///
/// With functions, for a filter that has no configuration:
///
/// ```
/// # use sluice::{Event, Verdict};
/// # fn judge(_: Event) -> Verdict { Verdict::CONTINUE }
/// sluice::export! { on_message: judge }
/// ```
///
/// With a type that implements [`Configure`], and its methods:
///
/// ```
/// # use sluice::{Configure, Event, Json, Refusal, Verdict};
/// # struct Hello;
/// # impl Configure for Hello { fn configure(_: Json<'_>) -> Result<Hello, Refusal> { Ok(Hello) } }
/// # impl Hello {
/// #     fn on_join(&mut self, _: Event) -> Verdict { Verdict::CONTINUE }
/// #     fn on_message(&mut self, _: Event) -> Verdict { Verdict::CONTINUE }
/// # }
/// sluice::export! {
///     filter: Hello,
///     state_version: 2,
///     on_join: Hello::on_join,
///     on_message: Hello::on_message,
/// }
/// ```
///
/// The hooks are `on_connect`, `on_join`, `on_message`, `on_leave` and
/// `on_disconnect`. `state_version`, with or without `filter`, versions the
/// layout of the state.
#[macro_export]
macro_rules! export {
    (filter: $filter:ty, state_version: $version:expr, $($rest:tt)+) => { $crate::__export!(methods [$version] $filter, $($rest)+); };
    (filter: $filter:ty, $($rest:tt)+) => { $crate::__export!(methods [] $filter, $($rest)+); };
    (state_version: $version:expr, $($rest:tt)+) => { $crate::__export!(functions [$version] $($rest)+); };
    ($($rest:tt)+) => { $crate::__export!(functions [] $($rest)+); };
}

/// The exports of [`export!`], one by one; an unknown hook matches nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (methods [$($version:expr)?] $filter:ty, $($hook:ident: $function:expr),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static FILTER: $crate::__::Slot<$filter> = $crate::__::Slot::new();
            static REFUSAL: $crate::__::Slot<$crate::Refusal> = $crate::__::Slot::new();
            $crate::__export!(common $($version)?);
            #[export_name = "on_configure"]
            unsafe extern "C" fn __configure(e: *mut $crate::__::Raw) -> i32 {
                unsafe { $crate::__::configure::<$filter>(e, &FILTER, &REFUSAL) }
            }
            $($crate::__export!($hook e {
                const HOOK: $crate::Method<$filter> = $function;
                unsafe { $crate::__::method::<$filter>(e, &FILTER, HOOK) }
            });)+
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $(let _: $crate::Method<$filter> = $function;)+
        };
    };
    (functions [$($version:expr)?] $($hook:ident: $function:expr),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            $crate::__export!(common $($version)?);
            $($crate::__export!($hook e {
                const HOOK: $crate::Function = $function;
                unsafe { $crate::__::function(e, HOOK) }
            });)+
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $(let _: $crate::Function = $function;)+
        };
    };
    (common $($version:expr)?) => {
        #[export_name = "sluice_abi_v1"]
        extern "C" fn __marker() {}
        #[export_name = "sluice_buffer"]
        extern "C" fn __buffer(min: u32) -> *mut u8 {
            $crate::__::buffer(min)
        }
        $(#[export_name = "sluice_state_version"]
        extern "C" fn __state_version() -> i32 {
            $version
        })?
    };
    (on_connect $e:ident $body:block) => { $crate::__export!("on_connect" __on_connect $e $body); };
    (on_join $e:ident $body:block) => { $crate::__export!("on_join" __on_join $e $body); };
    (on_message $e:ident $body:block) => { $crate::__export!("on_message" __on_message $e $body); };
    (on_leave $e:ident $body:block) => { $crate::__export!("on_leave" __on_leave $e $body); };
    (on_disconnect $e:ident $body:block) => { $crate::__export!("on_disconnect" __on_disconnect $e $body); };
    ($name:literal $function:ident $e:ident $body:block) => {
        #[export_name = $name]
        unsafe extern "C" fn $function($e: *mut $crate::__::Raw) -> i32 $body
    };
}
