//! A host for native unit tests: events go in, answers come out, and what a
//! filter asks of the host is answered by a stand-in that belongs to the thread.
//!
//! ```
//! use sluice::{test, Event, Verdict};
//!
//! fn judge(e: Event) -> Verdict {
//!     if e.payload() == b"\"spam\"" { Verdict::DROP } else { Verdict::CONTINUE }
//! }
//!
//! assert_eq!(test::message("\"spam\"").judge(judge).verdict, 3);
//! assert_eq!(test::message("\"hi\"").judge(judge).verdict, 0);
//! ```

use std::borrow::ToOwned;
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::HashMap;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::event::{Event, Raw, Span};
use crate::export::{Configure, Function, Method};
use crate::host::Level;
use crate::json::Json;
use crate::meta::{Entry, MetaKind};

mod host;
pub use host::Host;
pub(crate) use host::imports;

/// An event to judge. The fields are those of [`Event`]; what a test does not set
/// is empty.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Input {
    pub hook: u32,
    pub kind: u32,
    pub from_server: bool,
    pub time_ns: i64,
    pub conn: u64,
    pub seq: u64,
    pub payload: Vec<u8>,
    pub room: String,
    pub user: String,
    pub target: String,
    pub claims: String,
    pub state: Vec<u8>,
    pub state_version: u32,
    pub cause: u32,
    pub meta: Vec<(MetaKind, String, Vec<u8>)>,
    /// The lookup's status as the ABI has it: 1 found, 2 missed, 3 failed.
    pub lookup_status: u32,
    pub lookup: Vec<u8>,
    pub remote: String,
    pub expires_ms: i64,
}

/// What a hook answered. `None` is unset; what is there and empty clears.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Answer {
    pub verdict: i32,
    pub code: u32,
    pub retry_ms: u32,
    pub reason: Option<String>,
    pub payload: Option<String>,
    pub room: Option<String>,
    pub state: Option<Vec<u8>>,
    pub user: Option<String>,
    pub claims: Option<String>,
    pub grants: Option<String>,
    pub expires_ms: i64,
}

/// An event of a hook: its number in the ABI.
pub fn event(hook: u32) -> Input {
    Input {
        hook,
        kind: 0,
        from_server: false,
        time_ns: Host::now(),
        conn: 1,
        seq: 1,
        payload: Vec::new(),
        room: String::new(),
        user: "user".to_owned(),
        target: String::new(),
        claims: String::new(),
        state: Vec::new(),
        state_version: 0,
        cause: 0,
        meta: Vec::new(),
        lookup_status: 0,
        lookup: Vec::new(),
        remote: String::new(),
        expires_ms: 0,
    }
}

/// A message of that content to the room `room`.
pub fn message(content: &str) -> Input {
    Input { kind: 1, payload: content.as_bytes().to_owned(), room: "room".to_owned(), ..event(4) }
}

/// A new connection.
pub fn connect() -> Input {
    Input { kind: 1, user: String::new(), ..event(2) }
}

/// A join.
pub fn join(room: &str) -> Input {
    Input { room: room.to_owned(), ..event(3) }
}

/// Makes a filter from a configuration; the error is the reason of its refusal.
pub fn configure<F: Configure>(config: &str) -> Result<F, String> {
    F::configure(Json::new(config.as_bytes())).map_err(|why| why.as_str().to_string())
}

impl Input {
    /// The connection's user.
    pub fn user(mut self, user: &str) -> Input {
        self.user = user.to_owned();
        self
    }

    /// The room.
    pub fn room(mut self, room: &str) -> Input {
        self.room = room.to_owned();
        self
    }

    /// The client's address.
    pub fn remote(mut self, address: &str) -> Input {
        self.remote = address.to_owned();
        self
    }

    /// The connection.
    pub fn conn(mut self, conn: u64) -> Input {
        self.conn = conn;
        self
    }

    /// What the filter kept of the connection; `None` is nothing.
    pub fn state(mut self, state: Option<Vec<u8>>) -> Input {
        self.state = state.unwrap_or_default();
        self
    }

    /// A value of the upgrade request.
    pub fn meta(mut self, kind: MetaKind, name: &str, value: &str) -> Input {
        self.meta.push((kind, name.to_owned(), value.as_bytes().to_owned()));
        self
    }

    /// What the lookup brought.
    pub fn lookup(mut self, value: &str) -> Input {
        self.lookup_status = 1;
        self.lookup = value.as_bytes().to_owned();
        self
    }

    /// Asks a function.
    pub fn judge(&self, hook: Function) -> Answer {
        self.with(|raw| unsafe { hook(Event::new(raw)).write(raw) })
    }

    /// Asks a filter.
    pub fn ask<F>(&self, filter: &mut F, hook: Method<F>) -> Answer {
        self.with(|raw| unsafe { hook(filter, Event::new(raw)).write(raw) })
    }

    /// What the event's spans point at is this input's, or the entries': both
    /// outlive the verdict, which is written and read before this returns.
    fn with(&self, hook: impl FnOnce(*mut Raw) -> i32) -> Answer {
        let entries: Vec<Entry> = self
            .meta
            .iter()
            .map(|(kind, name, value)| Entry { kind: *kind as u32, zero: 0, name: Span::of(name.as_bytes()), value: Span::of(value) })
            .collect();
        let mut raw = self.raw(&entries);
        let action = hook(&mut raw);
        unsafe { read(&raw, action) }
    }

    fn raw(&self, entries: &[Entry]) -> Raw {
        Raw {
            size: 200,
            hook: self.hook,
            kind: self.kind,
            flags: self.from_server as u32 | self.lookup_status << 1,
            time_ns: self.time_ns,
            conn: self.conn,
            seq: self.seq,
            payload: Span::of(&self.payload),
            room: Span::of(self.room.as_bytes()),
            user: Span::of(self.user.as_bytes()),
            target: Span::of(self.target.as_bytes()),
            claims: Span::of(self.claims.as_bytes()),
            state: Span::of(&self.state),
            state_version: self.state_version,
            cause: self.cause,
            meta: Span { ptr: entries.as_ptr().cast(), len: entries.len() as u32 },
            lookup: Span::of(&self.lookup),
            remote: Span::of(self.remote.as_bytes()),
            expires_ms: self.expires_ms,
            out_code: 0,
            out_retry_ms: 0,
            out_reason: Span::UNSET,
            out_payload: Span::UNSET,
            out_room: Span::UNSET,
            out_state: Span::UNSET,
            out_user: Span::UNSET,
            out_claims: Span::UNSET,
            out_grants: Span::UNSET,
            out_expires_ms: 0,
        }
    }
}

/// Copies an answer.
unsafe fn read(raw: &Raw, verdict: i32) -> Answer {
    let bytes = |s: Span| if s.ptr.is_null() { None } else { Some(unsafe { s.view() }.to_vec()) };
    let text = |s: Span| bytes(s).map(|b| String::from_utf8(b).expect("an output that has to be text is not UTF-8"));
    Answer {
        verdict,
        code: raw.out_code,
        retry_ms: raw.out_retry_ms,
        reason: text(raw.out_reason),
        payload: text(raw.out_payload),
        room: text(raw.out_room),
        state: bytes(raw.out_state),
        user: text(raw.out_user),
        claims: text(raw.out_claims),
        grants: text(raw.out_grants),
        expires_ms: raw.out_expires_ms,
    }
}

/// Keeps a state until the next one of this thread, as wasm does in a static.
pub(crate) fn keep(state: &[u8]) -> Span {
    std::thread_local!(static KEPT: RefCell<Box<[u8]>> = RefCell::new(Box::new([])));
    KEPT.with(|kept| {
        let mut kept = kept.borrow_mut();
        *kept = state.into();
        Span::of(&kept)
    })
}

type Verify = Box<dyn Fn(&str, &str, &[u8], &[u8]) -> bool>;
type Lines = Vec<(Level, String)>;
type Values = HashMap<Vec<u8>, (Vec<u8>, Option<i64>)>;
