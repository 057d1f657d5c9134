//! The values of an upgrade request.

use crate::event::Span;

/// Where a value of the upgrade request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MetaKind {
    /// `path`, `host`, `origin`.
    Attribute = 1,
    /// A header; its name is in lower case.
    Header = 2,
    /// A field of the query, decoded.
    Query = 3,
    /// A cookie.
    Cookie = 4,
}

/// One value of the upgrade request. Only the attributes are there, and what the
/// filter's configuration names under `headers:`, `query:` and `cookies:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// Where it comes from.
    pub kind: MetaKind,
    /// Its name. One that occurs several times has several entries, in order.
    pub name: &'a str,
    /// Its value, which may be any bytes.
    pub value: &'a [u8],
}

/// A value as the host writes it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) kind: u32,
    pub(crate) zero: u32,
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// Goes through the values of an upgrade request.
pub struct Metas<'a> {
    rest: core::slice::Iter<'a, Entry>,
}

impl<'a> Metas<'a> {
    pub(crate) fn of(entries: &'a [Entry]) -> Metas<'a> {
        Metas { rest: entries.iter() }
    }
}

impl<'a> Iterator for Metas<'a> {
    type Item = Meta<'a>;

    fn next(&mut self) -> Option<Meta<'a>> {
        loop {
            let entry = self.rest.next()?;
            let kind = match entry.kind {
                1 => MetaKind::Attribute,
                2 => MetaKind::Header,
                3 => MetaKind::Query,
                4 => MetaKind::Cookie,
                _ => continue, // of a later host
            };
            // The host writes runs that live as long as the event, with names in UTF-8.
            return Some(unsafe { Meta { kind, name: entry.name.text(), value: entry.value.view() } });
        }
    }
}
