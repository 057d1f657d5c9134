//! Native unit tests of hello: `cargo test`.

use super::*;
use sluice::test::{configure, message, Host};

const CONTINUE: i32 = 0;
const DENY: i32 = 2;

fn hello() -> Hello {
    configure(r#" { "word" : "sp\u0061m" } "#).unwrap()
}

#[test]
fn configurations_that_make_no_sense_are_refused_with_a_reason() {
    for (config, reason) in [
        ("[]", "the configuration has to be an object"),
        (r#"{"wrod":"x"}"#, "unknown key: only word is known"),
        (r#"{"word":7}"#, "word has to be a string of up to 63 bytes"),
        (r#"{"word":""}"#, "word is missing"),
        ("{}", "word is missing"),
    ] {
        assert_eq!(configure::<Hello>(config).err().as_deref(), Some(reason), "{config}");
    }
    let long = |n| configure::<Hello>(&[r#"{"word":""#, &"x".repeat(n), r#""}"#].concat()).is_ok();
    assert!(long(63) && !long(64));
}

#[test]
fn the_word_is_refused_and_logged() {
    let a = message(r#""buy spam now""#).ask(&mut hello(), Hello::on_message);
    assert_eq!((a.verdict, a.code, a.reason.as_deref()), (DENY, 422, Some("that word is not welcome here")));
    assert_eq!(Host::lines(), [(Level::Info, "refused a message".into())]);
}

#[test]
fn other_content_is_stamped_with_numbers_that_go_on_from_the_state() {
    let mut hello = hello();
    let first = message(r#""hi""#).ask(&mut hello, Hello::on_message);
    assert_eq!((first.verdict, first.payload.as_deref()), (CONTINUE, Some(r#"{"n":1,"content":"hi"}"#)));
    let second = message("[2]").state(first.state).ask(&mut hello, Hello::on_message);
    assert_eq!(second.payload.as_deref(), Some(r#"{"n":2,"content":[2]}"#));
    let other = message("3").conn(2).ask(&mut hello, Hello::on_message);
    assert_eq!(other.payload.as_deref(), Some(r#"{"n":1,"content":3}"#));
}

#[test]
fn content_that_is_too_long_to_be_stamped_is_refused() {
    let mut hello = hello();
    let of = |n: usize| message(&["\"", &"x".repeat(n - 2), "\""].concat());
    assert_eq!(of(8160).ask(&mut hello, Hello::on_message).verdict, CONTINUE);
    assert_eq!(of(8161).ask(&mut hello, Hello::on_message).code, 413);
}
