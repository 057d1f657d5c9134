//! The keys of buckets: `<kind><rule>:<who>`. Kind and rule have no colon, so no
//! name of a user or room makes the key of another kind or rule.

use core::net::IpAddr;

use sluice::Event;

use crate::rules::{Per, Rule};

const LONGEST: usize = 255;
const KEPT: usize = 200; // bytes of a name that is too long for a key

/// A key as the host takes it.
pub struct Key {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Key {
    /// The key of a rule's bucket for an event; `None` if the event has no such
    /// thing, as a broadcast has no room.
    pub fn of(rule: &Rule, e: Event, prefix: u32) -> Option<Key> {
        let mut key = Key { bytes: [0; LONGEST], len: 0 };
        key.push(&[rule.per.letter(), b'0' + rule.number / 10, b'0' + rule.number % 10, b':']);
        match rule.per {
            Per::Connection if e.conn() != 0 => key.push(&e.conn().to_le_bytes()),
            Per::User if !e.user().is_empty() => key.name(e.user()),
            Per::Room if !e.room().is_empty() => key.name(e.room()),
            Per::Address if !e.remote().is_empty() => key.address(e.remote(), prefix),
            _ => return None,
        }
        Some(key)
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(to) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            to.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    /// A name that does not fit is kept in part, with a digest of the whole of it.
    fn name(&mut self, name: &str) {
        let name = name.as_bytes();
        match name.get(..KEPT) {
            Some(kept) if name.len() > LONGEST - self.len => {
                self.push(kept);
                self.push(&digest(name).to_le_bytes());
            }
            _ => self.push(name),
        }
    }

    /// IPv4 addresses one by one, IPv6 by their prefix: who has one, has many.
    fn address(&mut self, text: &str, prefix: u32) {
        let bare = text.split('%').next().unwrap_or(text);
        match bare.parse::<IpAddr>().map(|a| a.to_canonical()) {
            Ok(IpAddr::V4(a)) => self.push(&a.octets()),
            Ok(IpAddr::V6(a)) => {
                let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
                self.push(&(u128::from(a) & !host).to_be_bytes());
            }
            Err(_) => self.name(text),
        }
    }
}

/// FNV-1a, of 128 bits.
fn digest(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62272e07bb014262b821756295c58d, |d: u128, b| (d ^ u128::from(*b)).wrapping_mul(0x1000000000000000000013b))
}
