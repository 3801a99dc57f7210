//! `include/impasto.h` is what the functions of `src/` say.

use std::path::Path;

#[test]
fn the_header_is_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    let builder = cbindgen::Builder::new().with_config(config).with_src(folder.join("src/lib.rs"));
    builder.generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap().replace("# Safety", "The caller promises:");
    let header = folder.join("include/impasto.h");
    if std::env::var_os("IMPASTO_BLESS").is_some() {
        std::fs::write(&header, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&header).unwrap_or_default();
    assert!(kept == made, "include/impasto.h is not that of src/: run IMPASTO_BLESS=1 cargo test --test header");
}

#[test]
fn the_version_is_that_of_the_library() {
    let version = |manifest: &str| {
        let line = manifest.lines().find(|line| line.starts_with("version = ")).map(str::to_string);
        line.expect("a version")
    };
    assert_eq!(version(include_str!("../Cargo.toml")), version(include_str!("../../Cargo.toml")));
}
