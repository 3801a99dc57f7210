//! Pictures of every format, with their profiles and metadata. A decoder of another crate may panic, because that is
//! caught; nothing else may.

#![no_main]

use impasto::io::Picture;

fn init() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !impasto::internal::is_decoding() {
            abort(panic);
        }
    }));
}

libfuzzer_sys::fuzz_target!(init: init(), |bytes: &[u8]| {
    let Ok((picture, _)) = Picture::from_bytes("fuzzed", bytes) else { return };
    assert_eq!(picture.rgb.len(), 3 * picture.width * picture.height);
    assert!(picture.rgb.iter().all(|value| (0.0..=1.0).contains(value)));
    assert!(picture.alpha.iter().flatten().all(|value| (0.0..=1.0).contains(value)));
});
