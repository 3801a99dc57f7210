//! Passes the versions in Cargo.lock to the program.

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    for package in ["impasto", "burn", "wgpu"] {
        let after = lock.split_once(&format!("name = \"{package}\"\nversion = \""));
        let version = after.and_then(|(_, after)| after.split_once('"')).map_or("unknown", |(version, _)| version);
        println!("cargo::rustc-env={}_VERSION={version}", package.to_uppercase());
    }
}
