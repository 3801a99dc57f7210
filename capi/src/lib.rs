//! The C interface of Impasto. `include/impasto.h` is generated from these files and is their documentation;
//! `README.md` says how to build and link it.

#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

mod context;
mod load;
mod model;
mod options;
mod pixels;
mod status;

use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

use impasto::weights::PAIRS;

/// The version of the library, such as `0.1.0`: a text that is valid for the life of the program.
#[unsafe(no_mangle)]
pub extern "C" fn impasto_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("the version of the package contains no NUL"),
    };
    VERSION.as_ptr()
}

/// The names of the included nets, for C.
fn names() -> &'static [CString] {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let names = PAIRS.iter().filter(|pair| pair.decoder().is_ok()).map(|pair| pair.name.to_string());
        names.chain(load::nets()).filter_map(|name| CString::new(name).ok()).collect()
    })
}

/// The number of included nets. A net of many styles counts once for each style.
#[unsafe(no_mangle)]
pub extern "C" fn impasto_model_count() -> usize {
    std::panic::catch_unwind(|| names().len()).unwrap_or(0)
}

/// The name of an included net, for `impasto_load`: `adain`, `wave`, `impressions:night-cafe` and so on. `index` is
/// from 0 to `impasto_model_count() - 1`; for others the result is NULL. The text is valid for the life of the program.
#[unsafe(no_mangle)]
pub extern "C" fn impasto_model_name(index: usize) -> *const c_char {
    std::panic::catch_unwind(|| names().get(index).map_or(std::ptr::null(), |name| name.as_ptr()))
        .unwrap_or(std::ptr::null())
}
