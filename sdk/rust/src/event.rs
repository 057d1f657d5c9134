//! The event: a view of what the host wrote.

use core::marker::PhantomData;

use crate::meta::{Entry, Metas};

/// A run of bytes in memory. For wasm, where a pointer has 32 bits, it is the
/// ABI's `S`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Span {
    pub(crate) ptr: *const u8,
    pub(crate) len: u32,
}

impl Span {
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) const UNSET: Span = Span { ptr: core::ptr::null(), len: 0 };

    pub(crate) fn of(bytes: &[u8]) -> Span {
        Span { ptr: bytes.as_ptr(), len: bytes.len() as u32 }
    }

    /// # Safety
    /// The bytes have to stay as they are for `'a`.
    pub(crate) unsafe fn view<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() {
            return &[];
        }
        unsafe { core::slice::from_raw_parts(self.ptr, self.len as usize) }
    }

    /// # Safety
    /// As `view`, and the bytes are UTF-8.
    pub(crate) unsafe fn text<'a>(self) -> &'a str {
        unsafe { core::str::from_utf8_unchecked(self.view()) }
    }
}

/// The event as it lies in memory, question and answer. See `ABI.md`.
#[repr(C)]
#[doc(hidden)]
pub struct Raw {
    pub(crate) size: u32,
    pub(crate) hook: u32,
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) time_ns: i64,
    pub(crate) conn: u64,
    pub(crate) seq: u64,
    pub(crate) payload: Span,
    pub(crate) room: Span,
    pub(crate) user: Span,
    pub(crate) target: Span,
    pub(crate) claims: Span,
    pub(crate) state: Span,
    pub(crate) state_version: u32,
    pub(crate) cause: u32,
    pub(crate) meta: Span,
    pub(crate) lookup: Span,
    pub(crate) remote: Span,
    pub(crate) expires_ms: i64,

    pub(crate) out_code: u32,
    pub(crate) out_retry_ms: u32,
    pub(crate) out_reason: Span,
    pub(crate) out_payload: Span,
    pub(crate) out_room: Span,
    pub(crate) out_state: Span,
    pub(crate) out_user: Span,
    pub(crate) out_claims: Span,
    pub(crate) out_grants: Span,
    pub(crate) out_expires_ms: i64,
}

#[cfg(target_arch = "wasm32")]
const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Raw>() == 200 && size_of::<Entry>() == 24);
    assert!(offset_of!(Raw, size) == 0 && offset_of!(Raw, hook) == 4 && offset_of!(Raw, kind) == 8);
    assert!(offset_of!(Raw, flags) == 12 && offset_of!(Raw, time_ns) == 16 && offset_of!(Raw, conn) == 24);
    assert!(offset_of!(Raw, seq) == 32 && offset_of!(Raw, payload) == 40 && offset_of!(Raw, room) == 48);
    assert!(offset_of!(Raw, user) == 56 && offset_of!(Raw, target) == 64 && offset_of!(Raw, claims) == 72);
    assert!(offset_of!(Raw, state) == 80 && offset_of!(Raw, state_version) == 88 && offset_of!(Raw, cause) == 92);
    assert!(offset_of!(Raw, meta) == 96 && offset_of!(Raw, lookup) == 104 && offset_of!(Raw, remote) == 112);
    assert!(offset_of!(Raw, expires_ms) == 120 && offset_of!(Raw, out_code) == 128);
    assert!(offset_of!(Raw, out_retry_ms) == 132 && offset_of!(Raw, out_reason) == 136);
    assert!(offset_of!(Raw, out_payload) == 144 && offset_of!(Raw, out_room) == 152);
    assert!(offset_of!(Raw, out_state) == 160 && offset_of!(Raw, out_user) == 168);
    assert!(offset_of!(Raw, out_claims) == 176 && offset_of!(Raw, out_grants) == 184);
    assert!(offset_of!(Raw, out_expires_ms) == 192);
};

/// Where a filter is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Hook {
    Configure = 1,
    Connect = 2,
    Join = 3,
    Message = 4,
    Leave = 5,
    Disconnect = 6,
}

/// What kind of message or connect it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message to the members of [`Event::room`].
    Room,
    /// A message to everyone.
    Broadcast,
    /// A message to the user [`Event::target`].
    Direct,
    /// A new connection.
    New,
    /// A refresh: [`Event::payload`] is a token that renews the identity.
    Refresh,
    /// Neither a message nor a connect.
    None,
}

/// Why a room was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The client left.
    Left,
    /// The connection ended.
    Disconnected,
    /// The node or its operator removed it.
    Removed,
}

/// What the lookup of the filter's entry brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// None was made for this event.
    None,
    /// The answer: JSON, unless the entry says `format: bytes`.
    Found(&'a [u8]),
    /// The source has no answer for this key.
    Missed,
    /// The source is down, slow, too busy, or answered what it must not.
    Failed,
}

/// One thing to judge. Its values live for `'a`, until the host has read the
/// verdict, and so a [`Verdict`](crate::Verdict) may borrow from them.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    raw: *mut Raw,
    inputs: PhantomData<&'a ()>,
}

impl<'a> Event<'a> {
    /// # Safety
    /// `raw` has to be an event as the ABI has it, whose inputs stay as they are
    /// for `'a`, and which nothing else reads or writes meanwhile.
    pub(crate) unsafe fn new(raw: *mut Raw) -> Event<'a> {
        Event { raw, inputs: PhantomData }
    }

    #[inline(always)]
    fn raw(&self) -> &Raw {
        // Sound: outputs are written through the pointer only while no such
        // reference is alive, which no method lets out.
        unsafe { &*self.raw }
    }

    /// The hook that was called.
    pub fn hook(&self) -> Hook {
        match self.raw().hook {
            1 => Hook::Configure,
            2 => Hook::Connect,
            3 => Hook::Join,
            5 => Hook::Leave,
            6 => Hook::Disconnect,
            _ => Hook::Message,
        }
    }

    /// What kind of message or connect it is.
    pub fn kind(&self) -> Kind {
        match (self.raw().hook, self.raw().kind) {
            (4, 1) => Kind::Room,
            (4, 2) => Kind::Broadcast,
            (4, 3) => Kind::Direct,
            (2, 1) => Kind::New,
            (2, 2) => Kind::Refresh,
            _ => Kind::None,
        }
    }

    /// The kind's number in the ABI; 0 where the hook has none.
    pub fn kind_number(&self) -> u32 {
        self.raw().kind
    }

    /// Whether it comes from the server API rather than from a client.
    pub fn from_server(&self) -> bool {
        self.raw().flags & 1 != 0
    }

    /// When it happened, Unix nanoseconds. It stands still during the call.
    pub fn time_ns(&self) -> i64 {
        self.raw().time_ns
    }

    /// The connection; 0: there is none.
    pub fn conn(&self) -> u64 {
        self.raw().conn
    }

    /// Counts the events of one connection, from 1.
    pub fn seq(&self) -> u64 {
        self.raw().seq
    }

    /// By hook: the configuration as JSON, the content of a message as JSON, or
    /// the token of a refresh, which may be any bytes.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        unsafe { self.raw().payload.view() }
    }

    /// The room that is joined, left or sent to; empty where there is none.
    pub fn room(&self) -> &'a str {
        unsafe { self.raw().room.text() }
    }

    /// Whose connection it is.
    pub fn user(&self) -> &'a str {
        unsafe { self.raw().user.text() }
    }

    /// The receiver of a direct message.
    pub fn target(&self) -> &'a str {
        unsafe { self.raw().target.text() }
    }

    /// What connect filters said of the user: a JSON object, or empty.
    pub fn claims(&self) -> &'a [u8] {
        unsafe { self.raw().claims.view() }
    }

    /// What this filter keeps about this connection: the state of its last
    /// verdict that had one, up to 1 KiB.
    pub fn state(&self) -> &'a [u8] {
        unsafe { self.raw().state.view() }
    }

    /// The state version of the filter that wrote [`Event::state`].
    pub fn state_version(&self) -> u32 {
        self.raw().state_version
    }

    /// Of a leave: why.
    pub fn leave(&self) -> Leave {
        match self.raw().cause {
            0 => Leave::Left,
            1 => Leave::Disconnected,
            _ => Leave::Removed,
        }
    }

    /// The number of the cause of a leave, or the close code of a disconnect.
    pub fn cause(&self) -> u32 {
        self.raw().cause
    }

    /// The client's address, without port.
    pub fn remote(&self) -> &'a str {
        unsafe { self.raw().remote.text() }
    }

    /// When the identity expires, Unix milliseconds; 0: never.
    pub fn expires_ms(&self) -> i64 {
        self.raw().expires_ms
    }

    /// What the lookup of the filter's entry brought.
    pub fn lookup(&self) -> Lookup<'a> {
        match self.raw().flags >> 1 & 3 {
            1 => Lookup::Found(unsafe { self.raw().lookup.view() }),
            2 => Lookup::Missed,
            3 => Lookup::Failed,
            _ => Lookup::None,
        }
    }

    /// The values of the upgrade request of a connect.
    pub fn meta(&self) -> Metas<'a> {
        let all = self.raw().meta;
        if all.ptr.is_null() || all.len == 0 {
            return Metas::of(&[]);
        }
        // The host puts them at a multiple of 8.
        Metas::of(unsafe { core::slice::from_raw_parts(all.ptr.cast::<Entry>(), all.len as usize) })
    }

    /// The first value of that kind and name; a header's name is in lower case.
    pub fn find_meta(&self, kind: crate::MetaKind, name: &str) -> Option<&'a [u8]> {
        self.meta().find(|m| m.kind == kind && m.name == name).map(|m| m.value)
    }

    /// What a hook keeps about the connection is copied, so that it may be a local
    /// variable: [`Verdict::state`](crate::Verdict::state) copies nothing. It holds
    /// whatever the verdict, failures excepted. An empty state is forgotten. Over
    /// 4 KiB, the most that any configuration allows, it is not kept, and `false`.
    pub fn set_state(&self, state: &[u8]) -> bool {
        let Some(kept) = crate::export::keep_state(state) else { return false };
        // Sound: `raw` lets no reference out, and this is no output that a hook reads.
        unsafe { (*self.raw).out_state = kept };
        true
    }
}
