//! Pictures of every format, with their profiles and metadata.

#![no_main]

use impasto::io::Picture;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok((picture, _)) = Picture::from_bytes("fuzzed", bytes) else { return };
    assert_eq!(picture.rgb.len(), 3 * picture.width * picture.height);
    assert!(picture.rgb.iter().all(|value| (0.0..=1.0).contains(value)));
    assert!(picture.alpha.iter().flatten().all(|value| (0.0..=1.0).contains(value)));
});
