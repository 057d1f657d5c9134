//! Native unit tests of words: `cargo test`. The Go tests run the built module.

use std::format;
use std::string::{String, ToString};

use super::*;
use sluice::test::{configure, message};

fn words(config: &str) -> Words {
    configure(config).unwrap()
}

fn judge(config: &str, content: &str) -> i32 {
    message(content).ask(&mut words(config), Words::on_message).verdict
}

fn masked(config: &str, content: &str) -> Option<String> {
    message(content).ask(&mut words(config), Words::on_message).payload
}

#[test]
fn a_word_is_found_however_it_is_written() {
    let config = r#"{"words":["spam","süß","ΣΟΦΟΣ"]}"#;
    for content in [
        r#""spam""#,
        r#""buy SPAM!""#,
        r#"{"a":[1,{"b":"xspamx"}]}"#,
        r#""sp\u0061m""#,
        r#""\u0053PAM""#,
        r#""so SÜß""#,
        r#""S\u00dc\u00DF""#,
        r#""σοφος""#,
        r#"["\\\"","spam"]"#,
        r#""ſpam""#,
    ] {
        assert_eq!(judge(config, content), 2, "{content}");
    }
    for content in [r#""spa m""#, r#"{"spam":1}"#, r#"{"spam" : "x"}"#, r#"["sp","am"]"#, "12", r#""\\u0073pam""#, r#""sus""#] {
        assert_eq!(judge(config, content), 0, "{content}");
    }
}

#[test]
fn masks_cover_words_and_nothing_else() {
    let config = r#"{"words":["spam","am I"],"mode":"mask"}"#;
    for (content, want) in [
        (r#""buy spam now""#, r#""buy **** now""#),
        (r#"{"spam":"sp\u0061m\n","x":["SPAMspam"]}"#, r#"{"spam":"****\n","x":["********"]}"#),
        (r#""spam I am""#, r#""****** am""#),
        (r#"[ "a\"spam\"" , "spam" ]"#, r#"[ "a\"****\"" , "****" ]"#),
    ] {
        assert_eq!(masked(config, content).as_deref(), Some(want));
    }
    assert_eq!(masked(config, r#""ham""#), None);
    assert_eq!(masked(r#"{"words":["ö"],"mode":"mask","mask":"█"}"#, r#""Öö\u00f6o""#).as_deref(), Some(r#""███o""#));
}

#[test]
fn whole_words_have_edges() {
    let config = r#"{"words":["ass","a b"],"whole_words":true}"#;
    for content in [r#""ass""#, r#""an ass!""#, r#""\"ass\"""#, r#""x a b y""#, r#""class ass""#, r#""ass—es""#] {
        assert_eq!(judge(config, content), 2, "{content}");
    }
    for content in [r#""class""#, r#""asses""#, r#""aß asś ässä""#, r#""assé""#, r#""éass""#, r#""a bc""#] {
        assert_eq!(judge(config, content), 0, "{content}");
    }
}

#[test]
fn states_without_a_row_find_the_same() {
    // So many long words that the table has no room for all of their states.
    let long: std::vec::Vec<String> = (0..5000u32).map(|i| format!("{:0>8}{}", i.wrapping_mul(2654435761), "abcdefgh".repeat(10))).collect();
    let quoted: std::vec::Vec<String> = long.iter().map(|w| format!("{w:?}")).collect();
    let mut filter = words(&format!(r#"{{"words":[{},"hab8"]}}"#, quoted.join(",")));
    let mut ask = |text: &str| message(&format!("{text:?}")).ask(&mut filter, Words::on_message).verdict;
    let deep = &long[4999][..long[4999].len() - 8]; // ends in h
    assert_eq!(ask(&format!("xx{}", long[4999])), 2);
    assert_eq!(ask(&format!("{deep}abcdefg")), 0);
    assert_eq!(ask(&format!("{deep}b8")), 0);
    assert_eq!(ask(&format!("{deep}ab8")), 2, "a suffix of a deep state is found");
}

#[test]
fn a_refusal_says_what_to_do() {
    for (config, reason) in [
        ("[]", "the configuration has to be an object"),
        ("{}", "words is missing: a list of 1 to 10000 strings"),
        (r#"{"words":[]}"#, "words has to be a list of 1 to 10000 strings"),
        (r#"{"words":["a",""]}"#, "words[1] is empty"),
        (r#"{"words":["a",7]}"#, "words[1] has to be a string"),
        (r#"{"words":["a"],"mode":"x"}"#, "mode has to be deny, mask or drop"),
        (r#"{"words":["a"],"mask":"*"}"#, "mask is for mode mask"),
        (r#"{"words":["a"],"mode":"drop","code":400}"#, "code and reason are for mode deny"),
        (r#"{"words":["a"],"code":999}"#, "code has to be 400, 401, 403, 404, 409, 413, 422, 429, 503 or 1000 to 3999"),
    ] {
        assert_eq!(configure::<Words>(config).err().as_deref(), Some(reason));
    }
    let many = |n: usize| configure::<Words>(&format!(r#"{{"words":[{}]}}"#, std::vec!["\"a\""; n].join(","))).err();
    assert_eq!(many(10_000), None);
    assert_eq!(many(10_001), Some("words has more than 10000 words".to_string()));
}
