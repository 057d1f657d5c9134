//! noop: continues with every message. It shows what a call costs.
#![no_std]

use sluice::{Event, Verdict};

sluice::export! { on_message: on_message }

fn on_message(_: Event) -> Verdict {
    Verdict::CONTINUE
}
