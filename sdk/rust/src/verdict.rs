//! The verdict: what a hook answers.

use crate::event::{Raw, Span};

/// The most bytes of a rewritten message.
pub const MAX_CONTENT: usize = 64 << 10;
/// The most bytes of a user's or room's name.
pub const MAX_NAME: usize = 255;
/// The most bytes of a reason.
pub const MAX_REASON: usize = 512;
/// The most bytes of a user's public info.
pub const MAX_INFO: usize = 4 << 10;
/// The most bytes of claims, and of grants.
pub const MAX_CLAIMS: usize = 16 << 10;
/// The most bytes of state, unless the configuration allows more, up to 4 KiB.
pub const MAX_STATE: usize = 1 << 10;

/// Tells a client what kind of refusal it met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Code {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    TooLarge,
    Invalid,
    RateLimited,
    Unavailable,
    /// The filter's own: 1000 to 3999.
    Own(u32),
}

impl Code {
    /// Its number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Code::BadRequest => 400,
            Code::Unauthorized => 401,
            Code::Forbidden => 403,
            Code::NotFound => 404,
            Code::Conflict => 409,
            Code::TooLarge => 413,
            Code::Invalid => 422,
            Code::RateLimited => 429,
            Code::Unavailable => 503,
            Code::Own(n) => n,
        }
    }
}

/// Who a connecting client is. What is `None` stays as an earlier filter set it;
/// what is empty takes that back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    user: Option<&'a str>,
    info: Option<&'a [u8]>,
    claims: Option<&'a [u8]>,
    grants: Option<&'a [u8]>,
    expires_ms: i64,
}

impl<'a> Identity<'a> {
    /// An identity that says nothing yet.
    pub const NONE: Identity<'static> = Identity { user: None, info: None, claims: None, grants: None, expires_ms: 0 };

    /// The identity of a user, up to 255 bytes without control characters.
    pub const fn of(user: &'a str) -> Identity<'a> {
        Identity { user: Some(user), info: None, claims: None, grants: None, expires_ms: 0 }
    }

    /// What others see beside the user: a JSON value, up to 4 KiB.
    pub const fn info(mut self, json: &'a [u8]) -> Identity<'a> {
        self.info = Some(json);
        self
    }

    /// What later filters see of the user: a JSON object, up to 16 KiB.
    pub const fn claims(mut self, json: &'a [u8]) -> Identity<'a> {
        self.claims = Some(json);
        self
    }

    /// What the user may do: a JSON array, up to 16 KiB, such as
    /// `[{"rooms":"chat:*","allow":["join","send"]},{"allow":["direct"]}]`.
    pub const fn grants(mut self, json: &'a [u8]) -> Identity<'a> {
        self.grants = Some(json);
        self
    }

    /// When it expires, Unix milliseconds.
    pub const fn expires_ms(mut self, t: i64) -> Identity<'a> {
        self.expires_ms = t;
        self
    }
}

/// What a hook answers. It borrows what the host reads after the hook has
/// returned: from the event, the filter or constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verdict<'a> {
    action: i32,
    code: u32,
    retry_ms: u32,
    reason: Option<&'a str>,
    payload: Option<&'a [u8]>,
    room: Option<&'a str>,
    state: Option<&'a [u8]>,
    identity: Identity<'a>,
}

const fn plain(action: i32) -> Verdict<'static> {
    Verdict { action, code: 0, retry_ms: 0, reason: None, payload: None, room: None, state: None, identity: Identity::NONE }
}

impl Verdict<'static> {
    /// Go on with the next filter.
    pub const CONTINUE: Verdict<'static> = plain(0);
    /// Skip the rest of the chain, where the configuration lets the filter.
    pub const ALLOW: Verdict<'static> = plain(1);
    /// Refuse a message while its sender believes that it was accepted.
    pub const DROP: Verdict<'static> = plain(3);
    /// This filter cannot tell. What follows is the configuration's `on_failure`.
    pub const FAIL: Verdict<'static> = plain(-1);
}

impl<'a> Verdict<'a> {
    /// Refuse, and say why, in at most 512 bytes.
    pub const fn deny(code: Code, reason: &'a str) -> Verdict<'a> {
        Verdict { code: code.number(), reason: Some(reason), ..plain(2) }
    }

    /// Close the connection with a code of 4000 to 4999; any other stands for 4008.
    pub const fn disconnect(close_code: u32, reason: &'a str) -> Verdict<'a> {
        Verdict { code: close_code, reason: Some(reason), ..plain(4) }
    }

    /// Replace the content of a message by another JSON value, and continue.
    pub const fn rewrite(json: &'a [u8]) -> Verdict<'a> {
        Verdict { payload: Some(json), ..plain(0) }
    }

    /// Send a room message to another room, and continue. Needs
    /// `may: {reroute: [...]}` in the configuration.
    pub const fn reroute(room: &'a str) -> Verdict<'a> {
        Verdict { room: Some(room), ..plain(0) }
    }

    /// Say who a connecting client is, and continue.
    pub const fn admit(identity: Identity<'a>) -> Verdict<'a> {
        Verdict { identity, payload: identity.info, ..plain(0) }
    }

    /// With a denial: in how many milliseconds to try again.
    pub const fn retry_ms(mut self, ms: u32) -> Verdict<'a> {
        self.retry_ms = ms;
        self
    }

    /// With any verdict: what the connection's next event finds in
    /// [`Event::state`](crate::Event::state). Empty forgets it.
    pub const fn state(mut self, state: &'a [u8]) -> Verdict<'a> {
        self.state = Some(state);
        self
    }

    /// A rewritten message goes to another room too.
    pub const fn to_room(mut self, room: &'a str) -> Verdict<'a> {
        self.room = Some(room);
        self
    }

    /// Instead of going on with the next filter, skip the rest of the chain, where
    /// the configuration lets the filter.
    pub const fn and_allow(mut self) -> Verdict<'a> {
        if self.action == 0 {
            self.action = 1;
        }
        self
    }

    /// Writes the answer where the host looks for it.
    ///
    /// # Safety
    /// `raw` has to be an event that nothing else reads or writes.
    #[inline(always)]
    pub(crate) unsafe fn write(self, raw: *mut Raw) -> i32 {
        let raw = unsafe { &mut *raw };
        let put = |to: &mut Span, from: Option<&[u8]>| {
            if let Some(bytes) = from {
                *to = Span::of(bytes);
            }
        };
        raw.out_code = self.code;
        raw.out_retry_ms = self.retry_ms;
        put(&mut raw.out_reason, self.reason.map(str::as_bytes));
        put(&mut raw.out_payload, self.payload);
        put(&mut raw.out_room, self.room.map(str::as_bytes));
        put(&mut raw.out_state, self.state);
        put(&mut raw.out_user, self.identity.user.map(str::as_bytes));
        put(&mut raw.out_claims, self.identity.claims);
        put(&mut raw.out_grants, self.identity.grants);
        raw.out_expires_ms = self.identity.expires_ms;
        self.action
    }
}
