//! Tests of `schedule.rs`.

use approx::assert_relative_eq;

use super::*;

#[test]
fn rates_are_those_of_the_formulas() {
    assert_eq!([0, 7, 1_000_000].map(|step| Schedule::Constant.at(1e-3, step, 100)), [1e-3; 3]);

    let step = Schedule::Step { every: 2000, factor: 0.8 };
    for (at, expected) in [(0, 1.0), (1999, 1.0), (2000, 0.8), (3999, 0.8), (4000, 0.64), (20_000, 0.8f64.powi(10))] {
        assert_relative_eq!(step.at(1.0, at, 10_000), expected, max_relative = 1e-12);
    }

    let inverse = Schedule::InverseTime { decay: 5e-5 };
    for (at, expected) in [(0, 1e-4), (20_000, 0.5e-4), (60_000, 0.25e-4)] {
        assert_relative_eq!(inverse.at(1e-4, at, 1), expected, max_relative = 1e-12);
    }
}

#[test]
fn a_cosine_rises_to_its_base_and_falls_to_nothing() {
    let cosine = Schedule::Cosine { warmup: 100 };
    let at = |step| cosine.at(2.0, step, 1100);
    assert_relative_eq!(at(0), 2.0 / 101.0);
    assert_relative_eq!(at(99), 200.0 / 101.0);
    assert_eq!(at(100), 2.0);
    assert_relative_eq!(at(600), 1.0, max_relative = 1e-12);
    assert!(at(1099) > 0.0 && at(1099) < 1e-5, "{}", at(1099));
    assert!((1..=100).all(|step| at(step) > at(step - 1)) && (101..=1100).all(|step| at(step) < at(step - 1)));
    assert_eq!([1100, 1101, 1_000_000, u64::MAX].map(at), [0.0; 4]);

    let plain = Schedule::Cosine { warmup: 0 };
    assert_eq!((plain.at(3.0, 0, 10), plain.at(3.0, 10, 10)), (3.0, 0.0));
    // A run that ends before its warm-up does.
    assert_relative_eq!(cosine.at(1.0, 49, 50), 50.0 / 101.0);
    assert_eq!(cosine.at(1.0, 100, 50), 0.0);
}

#[test]
fn text_and_back() {
    for (text, schedule) in [
        ("constant", Schedule::Constant),
        ("step:2000:0.8", Schedule::Step { every: 2000, factor: 0.8 }),
        ("inverse-time:5e-5", Schedule::InverseTime { decay: 5e-5 }),
        ("cosine:100", Schedule::Cosine { warmup: 100 }),
    ] {
        assert_eq!(text.parse::<Schedule>().unwrap(), schedule);
        assert_eq!(schedule.to_string(), text);
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    }
}

#[test]
fn nonsense_is_refused() {
    for (text, expected) in [
        ("", "constant, step"),
        ("linear", "constant, step"),
        ("constant:1", "constant, step"),
        ("step:2000", "constant, step"),
        ("step:0:0.8", "step:EVERY:FACTOR"),
        ("step:-1:0.8", "step:EVERY:FACTOR"),
        ("step:10:0", "step:EVERY:FACTOR"),
        ("step:10:1.5", "step:EVERY:FACTOR"),
        ("step:10:nan", "step:EVERY:FACTOR"),
        ("inverse-time:-1", "inverse-time:DECAY"),
        ("inverse-time:inf", "inverse-time:DECAY"),
        ("inverse-time:", "inverse-time:DECAY"),
        ("cosine:x", "cosine:WARMUP"),
        ("cosine:-3", "cosine:WARMUP"),
    ] {
        let message = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains(&format!("`{text}`")), "{message}");
    }
}
