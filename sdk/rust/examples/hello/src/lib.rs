//! hello: refuses a word, and numbers the messages of each connection.
//!
//! Configuration: `{"word": "..."}`, up to 63 bytes.
#![cfg_attr(not(test), no_std)]

use sluice::{Code, Configure, Event, Json, Level, Name, Refusal, Text, Verdict};

sluice::export! {
    filter: Hello,
    on_message: Hello::on_message,
}

struct Hello {
    word: Name<63>,
    stamped: Text<8192>, // verdicts may borrow from the filter, never from a local variable
}

impl Configure for Hello {
    fn configure(config: Json<'_>) -> Result<Hello, Refusal> {
        let mut word = Name::new();
        config.document(|json| {
            if json.peek() != Some(b'{') {
                return Err("the configuration has to be an object".into());
            }
            json.object(|key, json| {
                if key != "word" {
                    return Err(Refusal::from("unknown key: only word is known"));
                }
                word = json.read().map_err(|_| "word has to be a string of up to 63 bytes")?;
                Ok(())
            })
        })?;
        if word.is_empty() {
            return Err("word is missing".into());
        }
        Ok(Hello { word, stamped: Text::new() })
    }
}

impl Hello {
    fn on_message(&mut self, e: Event) -> Verdict<'_> {
        let content = e.payload();
        let word = self.word.as_bytes();
        if content.windows(word.len()).any(|w| w[0] == word[0] && w == word) {
            sluice::log(Level::Info, "refused a message");
            return Verdict::deny(Code::Invalid, "that word is not welcome here");
        }
        // A state of another length is not this filter's: it counts anew.
        let n = e.state().try_into().map_or(0, u32::from_le_bytes).wrapping_add(1);
        e.set_state(&n.to_le_bytes());
        if content.len() > 8160 {
            return Verdict::deny(Code::TooLarge, "too long to be stamped");
        }

        self.stamped.clear().push("{\"n\":").push_int(n.into());
        self.stamped.push(",\"content\":").push_bytes(content).push("}");
        Verdict::rewrite(self.stamped.as_bytes())
    }
}

#[cfg(test)]
mod tests;
