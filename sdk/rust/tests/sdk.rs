//! Tests of the crate from outside, as a filter uses it.

use sluice::test::{connect, event, message, Host};
use sluice::{Bucket, Error, Event, Fault, Identity, Json, Level, Lookup, MetaKind, Name, Pattern, Text, Value, Verdict};

fn read<'a, T: sluice::FromJson<'a>>(text: &'a str) -> Result<T, Fault> {
    Json::new(text.as_bytes()).document(|json| json.read())
}

#[test]
fn numbers_are_whole_and_in_range() {
    assert_eq!(read::<i64>(" -12 "), Ok(-12));
    assert_eq!(read::<i64>("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(read::<i64>("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(read::<u8>("255"), Ok(255));
    for wrong in ["9223372036854775808", "1.0", "1e3", "01", "-", "", "+1", "\"1\"", "1 2"] {
        assert!(read::<i64>(wrong).is_err(), "{wrong}");
    }
    assert!(read::<u8>("256").is_err() && read::<u32>("-1").is_err());
}

#[test]
fn strings_are_decoded_and_checked() {
    let decoded = |text: &str| read::<Name<16>>(text).map(|name| name.as_str().to_owned());
    assert_eq!(decoded(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#).as_deref(), Ok("a\"\\/\u{8}\u{c}\n\r\té😀"));
    assert_eq!(decoded("\"0123456789abcdef\"").as_deref(), Ok("0123456789abcdef"));
    for wrong in ["\"0123456789abcdefg\"", r#""\x""#, r#""\ud83d""#, r#""\ude00""#, r#""\u12""#, "\"a", "\"\u{1}\"", "\"a\\"] {
        assert!(decoded(wrong).is_err(), "{wrong}");
    }
    assert!(Json::new(b"\"\xff\"").string().is_err());
    let s = Json::new(br#""sp\u0061m""#).string().unwrap();
    assert!(s == "spam" && s != "spa" && s != "spamm" && s.plain().is_none());
}

#[test]
fn documents_are_read_strictly() {
    for right in ["[]", "{}", r#" { "a" : [ 1 , -2.5e+3 , true , null , "x" , {} ] , "b" : false } "#] {
        assert!(Json::new(right.as_bytes()).document(|json| json.skip()).is_ok(), "{right}");
    }
    let deep = "[".repeat(65) + &"]".repeat(65);
    for wrong in ["", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "[1 2]", "tru", "1.", "01", "-", "[", "{}{}", &deep] {
        assert!(Json::new(wrong.as_bytes()).document(|json| json.skip()).is_err(), "{wrong}");
    }
    let mut seen = Vec::new();
    let read = Json::new(br#"{"x":[1,2],"y":[]}"#).document(|json| {
        json.object(|key, json| {
            let key = key.plain().unwrap().to_owned();
            json.array(|json| {
                seen.push((key.clone(), json.int()?));
                Ok::<(), Fault>(())
            })
        })
    });
    assert_eq!((read, seen), (Ok(()), vec![("x".to_owned(), 1), ("x".to_owned(), 2)]));
}

#[test]
fn patterns_match_as_the_nodes_do() {
    for (pattern, room, want) in [
        ("chat:*", "chat:a", true),
        ("chat:*", "chat:a:b", false),
        ("**", "a:b", true),
        ("*", "a:b", false),
        ("*", "", true),
        ("a*b*c", "abbc", true),
        ("**:*x", "a:b:xx", true),
        ("*a**b*", "xaabyb", true),
        ("**a*b", "a:ab", true),
        ("a**", "a", true),
        ("**b*c", "b:bc", true),
        ("*:*:**", "::", true),
        ("**a*:b*c", "aa:a:bbc", true),
        ("a", "b", false),
    ] {
        assert_eq!(Pattern::parse(pattern).unwrap().matches(room), want, "{pattern} {room}");
    }
    assert!(Pattern::parse("").is_err() && Pattern::parse("a***").is_err() && Pattern::parse(&"x".repeat(1025)).is_err());
    assert!(Pattern::parse("a:**").unwrap().is_deep() && !Pattern::parse("*:*").unwrap().is_deep());
}

/// All ways to match, one after the other.
fn naive(pattern: &[u8], room: &[u8]) -> bool {
    match pattern {
        [] => room.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=room.len()).any(|n| naive(rest, &room[n..])),
        [b'*', rest @ ..] => {
            let longest = room.iter().position(|&b| b == b':').unwrap_or(room.len());
            (0..=longest).any(|n| naive(rest, &room[n..]))
        }
        [b, rest @ ..] => room.first() == Some(b) && naive(rest, &room[1..]),
    }
}

#[test]
fn patterns_match_as_trying_all_ways_does() {
    let word = |letters: &[u8], mut n: usize| {
        let mut out = Vec::new();
        while n > 0 {
            n -= 1;
            out.push(letters[n % letters.len()]);
            n /= letters.len();
        }
        String::from_utf8(out).unwrap()
    };
    for p in 1..1365 {
        let pattern = word(b"ab:*", p);
        let Ok(parsed) = Pattern::parse(&pattern) else { continue };
        for r in 0..121 {
            let room = word(b"ab:", r);
            assert_eq!(parsed.matches(&room), naive(pattern.as_bytes(), room.as_bytes()), "{pattern} {room}");
        }
    }
}

#[test]
fn text_is_cut_at_characters() {
    let mut t = Text::<5>::new();
    t.push("aé").push("ää");
    assert_eq!((t.as_str(), t.is_cut()), ("aéä", true));
    t.clear().push("aéx").push("ä").push("b");
    assert_eq!(t.as_str(), "aéxb".get(..4).unwrap(), "nothing follows what was cut");
    t.clear().push("aéä").push("b");
    assert_eq!(t.as_str(), "aéä");
    t.clear().push_int(i64::MIN);
    assert_eq!(t.as_str(), "-9223372036854775808".get(..5).unwrap());
    let mut q = Text::<64>::new();
    assert_eq!(q.push_quoted("a\"\\\n\u{1f}é").as_str(), "\"a\\\"\\\\\\u000a\\u001fé\"");
    q.clear().push_bytes(b"\xff");
    assert!(q.is_cut());
}

fn nothing(_: Event) -> Verdict {
    Verdict::CONTINUE
}

#[test]
fn every_output_reaches_the_host() {
    fn all(e: Event) -> Verdict {
        let identity = Identity::of(e.user()).info(b"1").claims(b"{}").grants(b"[]").expires_ms(7);
        Verdict::admit(identity).state(b"s")
    }
    let a = connect().user("ann").judge(all);
    assert_eq!((a.user.as_deref(), a.payload.as_deref(), a.claims.as_deref()), (Some("ann"), Some("1"), Some("{}")));
    assert_eq!((a.grants.as_deref(), a.expires_ms, a.state), (Some("[]"), 7, Some(b"s".to_vec())));
    let b = message("1").judge(|e| Verdict::rewrite(e.payload()).to_room("x").and_allow());
    assert_eq!((b.verdict, b.payload.as_deref(), b.room.as_deref()), (1, Some("1"), Some("x")));
    assert_eq!(message("1").judge(nothing), sluice::test::Answer::default());
}

#[test]
fn a_state_may_come_from_a_local_variable_and_may_be_forgotten() {
    fn kept(e: Event) -> Verdict {
        let local = [1u8, 2, 3];
        assert!(e.set_state(&local) && !e.set_state(&[0; 4097]));
        Verdict::DROP
    }
    assert_eq!(message("1").judge(kept).state, Some(vec![1, 2, 3]));
    assert_eq!(message("1").judge(|_| Verdict::CONTINUE.state(b"")).state, Some(vec![]));
}

#[test]
fn meta_and_lookups_are_seen() {
    fn judge(e: Event) -> Verdict {
        assert_eq!(e.find_meta(MetaKind::Header, "x"), Some(&b"1"[..]), "the first of several");
        assert_eq!((e.find_meta(MetaKind::Cookie, "x"), e.meta().count()), (None, 3));
        assert_eq!(e.lookup(), Lookup::Found(b"{}"));
        Verdict::ALLOW
    }
    let input = connect().meta(MetaKind::Query, "x", "0").meta(MetaKind::Header, "x", "1").meta(MetaKind::Header, "x", "2").lookup("{}");
    assert_eq!(input.judge(judge).verdict, 1);
    for (status, want) in [(0, Lookup::None), (2, Lookup::Missed), (3, Lookup::Failed)] {
        let mut input = event(4);
        input.lookup_status = status;
        std::thread_local!(static SEEN: std::cell::Cell<u32> = const { std::cell::Cell::new(9) });
        input.judge(|e| {
            SEEN.set(match e.lookup() {
                Lookup::None => 0,
                Lookup::Found(_) => 1,
                Lookup::Missed => 2,
                Lookup::Failed => 3,
            });
            Verdict::CONTINUE
        });
        assert_eq!(SEEN.get(), status, "{want:?}");
    }
}

#[test]
fn the_stand_in_for_the_host_keeps_what_the_node_keeps() {
    assert_eq!((sluice::counter_add(b"c", 2, 1000), sluice::counter_add(b"c", -5, 1000)), (Ok(2), Ok(0)));
    sluice::counter_add(b"c", 3, 1000).unwrap();
    Host::pass_ms(1000);
    assert_eq!(sluice::counter_add(b"c", 0, 1000), Ok(0), "the window is over");
    assert_eq!(sluice::counter_add(b"", 1, 0), Err(Error::Argument));

    assert_eq!(sluice::bucket_take(b"b", 2, 2, 4), Ok(Bucket::Taken));
    assert_eq!(sluice::bucket_take(b"b", 1, 2, 4), Ok(Bucket::Wait(250)));
    Host::pass_ms(250);
    assert_eq!(sluice::bucket_take(b"b", 1, 2, 4), Ok(Bucket::Taken));
    assert_eq!(sluice::bucket_take(b"b", 3, 2, 4), Err(Error::Argument));

    let mut buffer = [0; 4];
    assert_eq!(sluice::kv_get(b"k", &mut buffer), Ok(Value::None));
    sluice::kv_set(b"k", b"value", 0).unwrap();
    assert_eq!(sluice::kv_get(b"k", &mut buffer), Ok(Value::TooLong(5)));
    sluice::kv_set(b"k", b"v", 10).unwrap();
    assert_eq!(sluice::kv_get(b"k", &mut buffer), Ok(Value::Found(b"v")));
    Host::pass_ms(10);
    assert_eq!(sluice::kv_get(b"k", &mut buffer), Ok(Value::None));
    sluice::kv_set(b"k", b"v", 0).unwrap();
    sluice::kv_delete(b"k").unwrap();
    assert_eq!(sluice::kv_get(b"k", &mut buffer), Ok(Value::None));

    assert_eq!((sluice::metric_add("a_b1", 2), sluice::metric_add("1a", 1)), (Ok(()), Err(Error::Argument)));
    assert_eq!(Host::metric("a_b1"), 2);
    sluice::log(Level::Warn, "x");
    assert_eq!(Host::lines(), [(Level::Warn, "x".to_owned())]);
    assert_eq!(sluice::verify("HS256", "", b"m", b"s"), Err(Error::Unsupported));
    Host::set_verify(|alg, _, message, signature| alg == "HS256" && message == signature);
    assert_eq!((sluice::verify("HS256", "", b"m", b"m"), sluice::verify("HS256", "", b"m", b"s")), (Ok(true), Ok(false)));
    let (mut a, mut b) = ([0; 16], [0; 16]);
    sluice::random(&mut a).unwrap();
    sluice::random(&mut b).unwrap();
    assert!(a != b && a != [0; 16]);
    Host::set_full(true);
    assert_eq!(sluice::counter_add(b"new", 1, 0), Err(Error::Quota));
}
