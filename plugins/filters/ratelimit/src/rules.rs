//! The configuration.

use sluice::{Configure, Json, Refusal};

pub const MOST_RULES: usize = 16;
const MOST: u32 = 1_000_000;

/// What has a bucket of its own.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub enum Per {
    Connection,
    User,
    Address,
    Room,
}

impl Per {
    pub fn letter(self) -> u8 {
        match self {
            Per::Connection => b'c',
            Per::User => b'u',
            Per::Address => b'a',
            Per::Room => b'r',
        }
    }
}

pub const CONNECT: u8 = 1;
pub const JOIN: u8 = 2;
pub const MESSAGE: u8 = 4;

#[derive(Clone, Copy)]
pub struct Rule {
    pub number: u8, // its place in the configuration
    pub per: Per,
    pub on: u8, // CONNECT, JOIN, MESSAGE
    /// In the bucket's units: a token is one of them, or 60 with a rate per minute.
    pub burst: u32,
    pub refill_per_s: u32,
    pub token: u32,
    pub bytes_per_token: u32, // 0: a message costs one token
}

impl Rule {
    /// What a message of so many bytes costs; `None` if more than the bucket holds.
    pub fn cost(&self, bytes: usize) -> Option<u32> {
        let tokens = match self.bytes_per_token {
            0 => 1,
            per => bytes.div_ceil(per as usize).max(1),
        };
        u32::try_from(tokens).ok()?.checked_mul(self.token).filter(|&cost| cost <= self.burst)
    }
}

/// The rules in the order in which they are asked, and the rest.
pub struct Limits {
    rules: [Option<Rule>; MOST_RULES],
    pub allow_when_full: bool,
    pub disconnect_after: u32, // refusals in a row; 0: never
    pub ipv6_prefix: u32,
}

impl Limits {
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().flatten()
    }

    /// Sorts from the narrowest to the widest, so that what a sender may not send
    /// takes nothing from a bucket that is shared with others.
    fn sort(&mut self) {
        for i in 1..MOST_RULES {
            let mut k = i;
            while k > 0 {
                let (Some(a), Some(b)) = (self.rules[k - 1], self.rules[k]) else { break };
                if a.per <= b.per {
                    break;
                }
                self.rules.swap(k - 1, k);
                k -= 1;
            }
        }
    }
}

impl Configure for Limits {
    fn configure(config: Json<'_>) -> Result<Limits, Refusal> {
        let mut limits = Limits { rules: [None; MOST_RULES], allow_when_full: false, disconnect_after: 0, ipv6_prefix: 64 };
        config.document(|json| {
            if json.peek() != Some(b'{') {
                return Err(Refusal::from("the configuration has to be an object"));
            }
            json.object(|key, json| {
                if key == "rules" {
                    return limits.read_rules(json);
                }
                if key == "when_full" {
                    limits.allow_when_full = match json.string() {
                        Ok(s) if s == "allow" => true,
                        Ok(s) if s == "deny" => false,
                        _ => return Err("when_full has to be deny or allow".into()),
                    };
                } else if key == "disconnect_after" {
                    limits.disconnect_after = number(json, 0, MOST).map_err(|_| "disconnect_after has to be a number from 0 to 1000000")?;
                } else if key == "ipv6_prefix" {
                    limits.ipv6_prefix = number(json, 32, 128).map_err(|_| "ipv6_prefix has to be a number from 32 to 128")?;
                } else {
                    return Err("unknown key: rules, when_full, disconnect_after and ipv6_prefix are known".into());
                }
                Ok(())
            })
        })?;
        if limits.rules[0].is_none() {
            return Err("rules is missing: a list of 1 to 16 rules".into());
        }
        limits.sort();
        Ok(limits)
    }
}

impl Limits {
    fn read_rules(&mut self, json: &mut Json<'_>) -> Result<(), Refusal> {
        if json.peek() != Some(b'[') {
            return Err("rules has to be a list of 1 to 16 rules".into());
        }
        self.rules = [None; MOST_RULES];
        let mut n = 0;
        json.array(|json| {
            let Some(slot) = self.rules.get_mut(n) else { return Err(Refusal::from("rules has more than 16 rules")) };
            let rule = read_rule(json, n as u8);
            *slot = Some(rule.map_err(|what| Refusal::from("rules[").int(n as i64).text("] ").text(what))?);
            n += 1;
            Ok(())
        })
    }
}

/// What is wrong with a rule, to be said behind its place.
struct Wrong(&'static str);

impl From<sluice::Fault> for Wrong {
    fn from(fault: sluice::Fault) -> Wrong {
        Wrong(fault.what)
    }
}

fn number(json: &mut Json<'_>, least: u32, most: u32) -> Result<u32, Wrong> {
    json.read::<u32>().ok().filter(|n| (least..=most).contains(n)).ok_or(Wrong(""))
}

fn read_rule(json: &mut Json<'_>, n: u8) -> Result<Rule, &'static str> {
    let (mut per, mut on, mut burst, mut second, mut minute, mut bytes) = (None, MESSAGE, 0, 0, 0, 0);
    if json.peek() != Some(b'{') {
        return Err("has to be an object");
    }
    json.object(|key, json| {
        let rate = |json: &mut Json<'_>, wrong| number(json, 1, MOST).map_err(|_| Wrong(wrong));
        if key == "per" {
            per = Some(read_per(json)?);
        } else if key == "on" {
            on = read_hooks(json)?;
        } else if key == "burst" {
            burst = rate(json, "has a burst that is no number from 1 to 1000000")?;
        } else if key == "refill_per_s" {
            second = rate(json, "has a refill_per_s that is no number from 1 to 1000000")?;
        } else if key == "refill_per_min" {
            minute = rate(json, "has a refill_per_min that is no number from 1 to 1000000")?;
        } else if key == "bytes_per_token" {
            bytes = rate(json, "has a bytes_per_token that is no number from 1 to 1000000")?;
        } else {
            return Err(Wrong("has an unknown key: per, on, burst, refill_per_s, refill_per_min and bytes_per_token are known"));
        }
        Ok(())
    })
    .map_err(|Wrong(what)| what)?;
    let per = per.ok_or("has no per: connection, user, room or address")?;
    if burst == 0 {
        return Err("has no burst: how many tokens the bucket holds");
    }
    if (second == 0) == (minute == 0) {
        return Err("has to have one of refill_per_s and refill_per_min");
    }
    if on & CONNECT != 0 && matches!(per, Per::Connection | Per::Room) {
        return Err("cannot limit connects per connection or room: limit them per address or user");
    }
    if bytes != 0 && on != MESSAGE {
        return Err("has bytes_per_token, which is for messages alone");
    }
    let token = if minute == 0 { 1 } else { 60 };
    Ok(Rule { number: n, per, on, burst: burst * token, refill_per_s: second.max(minute), token, bytes_per_token: bytes })
}

fn read_per(json: &mut Json<'_>) -> Result<Per, Wrong> {
    match json.string() {
        Ok(s) if s == "connection" => Ok(Per::Connection),
        Ok(s) if s == "user" => Ok(Per::User),
        Ok(s) if s == "room" => Ok(Per::Room),
        Ok(s) if s == "address" => Ok(Per::Address),
        _ => Err(Wrong("has a per that is not connection, user, room or address")),
    }
}

fn read_hooks(json: &mut Json<'_>) -> Result<u8, Wrong> {
    let wrong = Wrong("has an on that is no list of connect, join and message");
    let mut hooks = 0;
    let read = json.array(|json| {
        let name = json.string()?;
        for (known, hook) in [("connect", CONNECT), ("join", JOIN), ("message", MESSAGE)] {
            if name == known {
                hooks |= hook;
                return Ok(());
            }
        }
        Err(json.fault(""))
    });
    if read.is_err() || hooks == 0 {
        return Err(wrong);
    }
    Ok(hooks)
}
