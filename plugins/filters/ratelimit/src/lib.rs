//! ratelimit: token buckets per connection, user, room or address, which all
//! instances of a node share. README.md has the configuration.
#![cfg_attr(not(test), no_std)]

use sluice::{bucket_take, Bucket, Code, Error, Event, Verdict};

mod key;
mod rules;

use key::Key;
use rules::{Limits, CONNECT, JOIN, MESSAGE};

sluice::export! {
    filter: Limits,
    on_connect: on_connect,
    on_join: on_join,
    on_message: on_message,
}

const TOO_MANY_REQUESTS: u32 = 4101;

/// What the buckets say of an event.
enum Outcome {
    Passes,
    Waits(u64), // milliseconds
    Never,      // it costs more than a bucket ever holds
    Full,       // there is no room for another bucket
    Failed,
}

/// Asks each rule of the hook in turn, up to the first that refuses. What the
/// ones before have given stays taken: a host has no way to give tokens back.
fn ask(limits: &Limits, e: Event, hook: u8) -> Outcome {
    for rule in limits.rules().filter(|rule| rule.on & hook != 0) {
        let Some(key) = Key::of(rule, e, limits.ipv6_prefix) else { continue };
        let bytes = if hook == MESSAGE { e.payload().len() } else { 0 };
        let Some(cost) = rule.cost(bytes) else { return Outcome::Never };
        match bucket_take(key.as_bytes(), cost, rule.burst, rule.refill_per_s) {
            Ok(Bucket::Taken) => {}
            Ok(Bucket::Wait(ms)) => return Outcome::Waits(ms),
            Err(Error::Quota) if limits.allow_when_full => {}
            Err(Error::Quota) => return Outcome::Full,
            Err(_) => return Outcome::Failed,
        }
    }
    Outcome::Passes
}

fn on_connect<'a>(limits: &'a mut Limits, e: Event<'a>) -> Verdict<'a> {
    answer(ask(limits, e, CONNECT), "too many connects")
}

fn on_join<'a>(limits: &'a mut Limits, e: Event<'a>) -> Verdict<'a> {
    let outcome = ask(limits, e, JOIN);
    counted(limits, e, outcome, "too many joins")
}

fn on_message<'a>(limits: &'a mut Limits, e: Event<'a>) -> Verdict<'a> {
    if e.from_server() {
        return Verdict::CONTINUE;
    }
    let outcome = ask(limits, e, MESSAGE);
    counted(limits, e, outcome, "too many messages")
}

fn answer(outcome: Outcome, what: &'static str) -> Verdict<'static> {
    match outcome {
        Outcome::Passes => Verdict::CONTINUE,
        Outcome::Waits(ms) => Verdict::deny(Code::RateLimited, what).retry_ms(u32::try_from(ms).unwrap_or(u32::MAX)),
        Outcome::Never => Verdict::deny(Code::TooLarge, "content is larger than its rate limit ever allows"),
        Outcome::Full => Verdict::deny(Code::Unavailable, "no room for another rate limit"),
        Outcome::Failed => Verdict::FAIL,
    }
}

/// Counts the refusals of a connection in a row, in its state, and closes it after
/// too many.
fn counted(limits: &Limits, e: Event, outcome: Outcome, what: &'static str) -> Verdict<'static> {
    if limits.disconnect_after == 0 {
        return answer(outcome, what);
    }
    let before = <[u8; 4]>::try_from(e.state()).map_or(0, u32::from_le_bytes);
    let now = match outcome {
        Outcome::Waits(_) => before.saturating_add(1),
        Outcome::Passes => 0,
        _ => before,
    };
    if now >= limits.disconnect_after {
        return Verdict::disconnect(TOO_MANY_REQUESTS, what);
    }
    if now != before {
        let state = now.to_le_bytes();
        e.set_state(if now == 0 { &[] } else { &state });
    }
    answer(outcome, what)
}

#[cfg(test)]
mod tests;
