//! What the command line has in one option: a style with a weight, a mask with a style, a tap, a schedule.

#![no_main]

use std::path::Path;

#[path = "../../src/cli/stylize/names.rs"]
mod names;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (name, weight) = names::weighted(text);
    assert!(text.starts_with(name) && (name == text || text[name.len()..].starts_with(':')), "{weight}");
    if let Some((mask, style)) = names::split(text) {
        assert!(!mask.is_empty() && !style.is_empty() && text == format!("{mask}={style}"));
    }
    let _ = names::suffixed(Path::new("out.png"), text);
    let _ = text.parse::<impasto::nets::Tap>();
    let _ = text.parse::<impasto::train::Schedule>();
});
