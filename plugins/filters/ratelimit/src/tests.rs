//! Native unit tests of ratelimit: `cargo test`. The Go tests run the built module.

use super::*;
use sluice::test::{configure, connect, join, message, Answer, Host, Input};

fn limits(config: &str) -> Limits {
    configure(config).unwrap()
}

fn send(limits: &mut Limits, input: Input) -> Answer {
    input.ask(limits, on_message)
}

#[test]
fn a_bucket_lets_its_burst_through_and_then_its_rate() {
    let mut l = limits(r#"{"rules":[{"per":"user","burst":3,"refill_per_s":2}]}"#);
    for _ in 0..3 {
        assert_eq!(send(&mut l, message("1")).verdict, 0);
    }
    let refused = send(&mut l, message("1"));
    assert_eq!((refused.verdict, refused.code, refused.retry_ms), (2, 429, 500));
    assert_eq!(send(&mut l, message("1").user("other")).verdict, 0, "another user has another bucket");
    Host::pass_ms(500);
    assert_eq!(send(&mut l, message("1")).verdict, 0);
    assert_eq!(send(&mut l, message("1")).verdict, 2);
}

#[test]
fn a_rate_can_be_less_than_one_a_second() {
    let mut l = limits(r#"{"rules":[{"per":"connection","burst":1,"refill_per_min":10}]}"#);
    assert_eq!(send(&mut l, message("1")).verdict, 0);
    assert_eq!(send(&mut l, message("1")).retry_ms, 6000);
    assert_eq!(send(&mut l, message("1").conn(2)).verdict, 0);
}

#[test]
fn who_may_not_send_takes_nothing_from_the_room() {
    let mut l = limits(
        r#"{"rules":[{"per":"room","burst":3,"refill_per_s":1},{"per":"user","burst":1,"refill_per_s":1}]}"#,
    );
    for i in 0..5 {
        assert_eq!(send(&mut l, message("1").user("flood")).verdict, if i == 0 { 0 } else { 2 });
    }
    assert_eq!(send(&mut l, message("1").user("b")).verdict, 0);
    assert_eq!(send(&mut l, message("1").user("c")).verdict, 0);
    assert_eq!(send(&mut l, message("1").user("d")).verdict, 2, "the room's bucket is empty after three");
}

#[test]
fn kinds_and_rules_never_share_a_bucket() {
    let mut l = limits(
        r#"{"rules":[{"per":"user","burst":1,"refill_per_s":1},{"per":"room","burst":1,"refill_per_s":1}]}"#,
    );
    assert_eq!(send(&mut l, message("1").user("x").room("y")).verdict, 0);
    assert_eq!(send(&mut l, message("1").user("y").room("x")).verdict, 0);
    let long = "n".repeat(254);
    assert_eq!(send(&mut l, message("1").user(&(long.clone() + "1")).room(&(long.clone() + "2"))).verdict, 0);
    assert_eq!(send(&mut l, message("1").user(&(long.clone() + "2")).room(&(long + "1"))).verdict, 0);
}

#[test]
fn bytes_can_cost() {
    let mut l = limits(r#"{"rules":[{"per":"user","burst":4,"refill_per_s":1,"bytes_per_token":10}]}"#);
    let of = |n: usize| message(&"1".repeat(n));
    assert_eq!(send(&mut l, of(41)).code, 413);
    assert_eq!(send(&mut l, of(31)).verdict, 0);
    assert_eq!(send(&mut l, of(10)).retry_ms, 1000);
}

#[test]
fn addresses_of_ipv6_share_the_bucket_of_their_network() {
    let mut l = limits(r#"{"rules":[{"per":"address","on":["connect"],"burst":1,"refill_per_s":1}]}"#);
    let mut from = |address: &str| connect().remote(address).ask(&mut l, on_connect).verdict;
    assert_eq!((from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2")), (0, 2, 0));
    assert_eq!(from("::ffff:192.0.2.1"), 2, "an IPv4 address is one however it is written");
    assert_eq!((from("2001:db8::1"), from("2001:db8::ffff:1"), from("2001:db8:0:1::1")), (0, 2, 0));
    let mut whole = limits(r#"{"ipv6_prefix":128,"rules":[{"per":"address","on":["connect"],"burst":1,"refill_per_s":1}]}"#);
    let mut from = |address: &str| connect().remote(address).ask(&mut whole, on_connect).verdict;
    assert_eq!((from("2001:db8:9::1"), from("2001:db8:9::2")), (0, 0));
}

#[test]
fn refusals_in_a_row_end_the_connection() {
    let mut l = limits(r#"{"disconnect_after":3,"rules":[{"per":"connection","on":["join","message"],"burst":1,"refill_per_s":1}]}"#);
    assert_eq!(join("a").ask(&mut l, on_join).verdict, 0);
    let first = send(&mut l, message("1"));
    assert_eq!(first.verdict, 2);
    let second = join("a").state(first.state).ask(&mut l, on_join);
    assert_eq!((second.verdict, second.reason.as_deref()), (2, Some("too many joins")));
    Host::pass_ms(1000);
    let passed = send(&mut l, message("1").state(second.state.clone()));
    assert_eq!((passed.verdict, passed.state.as_deref()), (0, Some(&[][..])), "it begins anew");
    let third = send(&mut l, message("1").state(second.state));
    assert_eq!((third.verdict, third.code), (4, 4101));
}

#[test]
fn without_room_for_a_bucket_the_configuration_decides() {
    for (config, verdict, code) in [
        (r#"{"rules":[{"per":"user","burst":1,"refill_per_s":1}]}"#, 2, 503),
        (r#"{"when_full":"allow","rules":[{"per":"user","burst":1,"refill_per_s":1}]}"#, 0, 0),
    ] {
        Host::set_full(true);
        let a = send(&mut limits(config), message("1"));
        assert_eq!((a.verdict, a.code), (verdict, code));
    }
}

#[test]
fn what_has_no_such_thing_is_not_limited_by_it() {
    let mut l = limits(r#"{"rules":[{"per":"room","burst":1,"refill_per_s":1},{"per":"user","burst":2,"refill_per_s":1}]}"#);
    let broadcast = || Input { kind: 2, ..message("1").room("") };
    assert_eq!((send(&mut l, broadcast()).verdict, send(&mut l, broadcast()).verdict), (0, 0));
    assert_eq!(send(&mut l, broadcast()).verdict, 2);
    let server = || Input { from_server: true, ..message("1") };
    assert_eq!((send(&mut l, server()).verdict, send(&mut l, server()).verdict), (0, 0));
}

#[test]
fn a_refusal_says_what_to_do() {
    for (config, reason) in [
        ("{}", "rules is missing: a list of 1 to 16 rules"),
        (r#"{"rules":{}}"#, "rules has to be a list of 1 to 16 rules"),
        (r#"{"rule":[]}"#, "unknown key: rules, when_full, disconnect_after and ipv6_prefix are known"),
        (r#"{"rules":[{"per":"user","burst":1,"refill_per_s":1},{"per":"x"}]}"#, "rules[1] has a per that is not connection, user, room or address"),
        (r#"{"rules":[{"per":"user","burst":0}]}"#, "rules[0] has a burst that is no number from 1 to 1000000"),
        (r#"{"rules":[{"per":"user","burst":1}]}"#, "rules[0] has to have one of refill_per_s and refill_per_min"),
        (r#"{"rules":[{"per":"room","on":["connect"],"burst":1,"refill_per_s":1}]}"#, "rules[0] cannot limit connects per connection or room: limit them per address or user"),
        (r#"{"rules":[{"per":"user","on":["leave"]}]}"#, "rules[0] has an on that is no list of connect, join and message"),
    ] {
        assert_eq!(configure::<Limits>(config).err().as_deref(), Some(reason), "{config}");
    }
}
