//! Draws the pictures of docs/kernels/: what a workgroup and a thread of each kernel compute, with the sizes that stand in
//! the kernels.
//!
//! ```sh
//! cargo run --example draw_kernels -- docs/kernels
//! ```

mod pictures;
mod svg;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("draw_kernels: name the folder for the pictures");
        return ExitCode::FAILURE;
    };
    for (name, picture) in pictures::all() {
        let path = folder.join(format!("{name}.svg"));
        if let Err(error) = std::fs::write(&path, picture.finish()) {
            eprintln!("draw_kernels: cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("{}", path.display());
    }
    ExitCode::SUCCESS
}
