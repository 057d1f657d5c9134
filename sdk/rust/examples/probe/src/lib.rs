//! probe: tells all that it sees of an event, and answers in every way there is.
//! Every SDK has the same.
#![no_std]

use sluice::{Bucket, Code, Configure, Event, Identity, Json, Kind, Level, Lookup, MetaKind, Refusal, Text, Value, Verdict};

sluice::export! {
    filter: Probe,
    state_version: 7,
    on_connect: Probe::on_connect,
    on_join: Probe::on_join,
    on_message: Probe::on_message,
    on_leave: Probe::on_leave,
    on_disconnect: Probe::on_disconnect,
}

struct Probe {
    out: Text<4096>,
    info: Text<256>,
}

impl Configure for Probe {
    fn configure(_: Json<'_>) -> Result<Probe, Refusal> {
        Ok(Probe { out: Text::new(), info: Text::new() })
    }
}

impl Probe {
    fn on_connect<'a>(&'a mut self, e: Event<'a>) -> Verdict<'a> {
        let text = |found: Option<&'a [u8]>| found.and_then(|v| core::str::from_utf8(v).ok());
        let user = if e.kind() == Kind::Refresh { text(Some(e.payload())) } else { text(e.find_meta(MetaKind::Header, "x-user")) };
        let Some(user) = user else {
            return Verdict::deny(Code::Unauthorized, "who are you?").retry_ms(1500);
        };
        let value = |kind, name| text(e.find_meta(kind, name)).unwrap_or("");
        self.out.clear().push("{\"path\":\"").push(value(MetaKind::Attribute, "path"));
        self.out.push("\",\"cookie\":\"").push(value(MetaKind::Cookie, "s"));
        self.out.push("\",\"remote\":\"").push(e.remote()).push("\"}");
        self.info.clear().push_quoted(value(MetaKind::Query, "name"));
        Verdict::admit(
            Identity::of(user)
                .grants(br#"[{"rooms":"chat:*","allow":["join","send"]},{"allow":["direct"]}]"#)
                .claims(self.out.as_bytes())
                .info(self.info.as_bytes())
                .expires_ms(e.time_ns() / 1_000_000 + 60_000),
        )
    }

    fn on_join(&mut self, e: Event) -> Verdict<'_> {
        if e.room() == "closed" {
            return Verdict::deny(Code::Forbidden, "closed");
        }
        Verdict::CONTINUE
    }

    fn on_message(&mut self, e: Event) -> Verdict<'_> {
        e.set_state(b"kept");
        match e.payload() {
            b"\"allow\"" => Verdict::ALLOW,
            b"\"deny\"" => Verdict::deny(Code::Own(1234), "no"),
            b"\"drop\"" => Verdict::DROP,
            b"\"close\"" => Verdict::disconnect(4003, "bye"),
            b"\"fail\"" => Verdict::FAIL,
            b"\"reroute\"" => Verdict::reroute("other"),
            b"\"forget\"" => Verdict::CONTINUE.state(b""),
            b"\"random\"" => {
                let mut bytes = [0; 16];
                if sluice::random(&mut bytes).is_err() {
                    return Verdict::FAIL;
                }
                self.number(bytes.iter().filter(|&&b| b != 0).count() as i64)
            }
            b"\"now\"" => self.number(sluice::now()),
            b"\"counter\"" => self.result(sluice::counter_add(b"c", 1, 60_000).map(|n| n as i64)),
            b"\"bucket\"" => self.result(sluice::bucket_take(b"b", 1, 2, 1).map(|b| match b {
                Bucket::Taken => 0,
                Bucket::Wait(ms) => ms as i64,
            })),
            b"\"metric\"" => self.result(sluice::metric_add("probed", 2).map(|()| 0)),
            b"\"set\"" => self.result(sluice::kv_set(b"k", b"v", 0).map(|()| 0)),
            b"\"get\"" => self.get(),
            b"\"lookup\"" => self.lookup(e),
            _ => self.tell(e),
        }
    }

    fn number(&mut self, n: i64) -> Verdict<'_> {
        self.out.clear().push_int(n);
        Verdict::rewrite(self.out.as_bytes())
    }

    fn result(&mut self, result: Result<i64, sluice::Error>) -> Verdict<'_> {
        self.number(result.unwrap_or_else(|e| match e {
            sluice::Error::Argument => -1,
            sluice::Error::Unsupported => -2,
            sluice::Error::NotFound => -3,
            sluice::Error::Quota => -4,
            sluice::Error::Unavailable => -5,
        }))
    }

    fn get(&mut self) -> Verdict<'_> {
        let mut buffer = [0; 64];
        self.out.clear();
        match sluice::kv_get(b"k", &mut buffer) {
            Ok(Value::Found(value)) => self.out.push_quoted(core::str::from_utf8(value).unwrap_or("")),
            Ok(_) => self.out.push("null"),
            Err(_) => return Verdict::FAIL,
        };
        Verdict::rewrite(self.out.as_bytes())
    }

    fn lookup(&mut self, e: Event) -> Verdict<'_> {
        let (status, value) = match e.lookup() {
            Lookup::None => (0, &b"null"[..]),
            Lookup::Found(value) => (1, value),
            Lookup::Missed => (2, &b"null"[..]),
            Lookup::Failed => (3, &b"null"[..]),
        };
        self.out.clear().push("[").push_int(status).push(",").push_bytes(value).push("]");
        Verdict::rewrite(self.out.as_bytes())
    }

    fn tell(&mut self, e: Event) -> Verdict<'_> {
        let out = self.out.clear();
        out.push("[").push_int(e.hook() as i64).push(",").push_int(e.kind_number().into());
        out.push(",").push_int(e.from_server().into()).push(",").push_int(e.time_ns());
        out.push(",").push_int(e.conn() as i64).push(",").push_int(e.seq() as i64);
        out.push(",").push_bytes(e.payload()).push(",").push_quoted(e.room());
        out.push(",").push_quoted(e.user()).push(",").push_quoted(e.target());
        out.push(",").push_bytes(e.claims());
        out.push(",").push_quoted(core::str::from_utf8(e.state()).unwrap_or(""));
        out.push(",").push_int(e.state_version().into()).push(",").push_quoted(e.remote());
        out.push(",").push_int(e.expires_ms()).push("]");
        Verdict::rewrite(self.out.as_bytes())
    }

    fn end(&mut self, e: Event, what: &str) -> Verdict<'_> {
        self.out.clear().push(what).push(" ").push(e.room()).push(",").push_int(e.cause().into());
        sluice::log(Level::Warn, self.out.as_str());
        Verdict::CONTINUE
    }

    fn on_leave(&mut self, e: Event) -> Verdict<'_> {
        self.end(e, "left")
    }

    fn on_disconnect(&mut self, e: Event) -> Verdict<'_> {
        self.end(e, "gone")
    }
}
