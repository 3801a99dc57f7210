//! Errors as JavaScript sees them: a code and a message.

use impasto::Error;
use wasm_bindgen::prelude::*;

/// An error with the code of `ImpastoError` in `js/impasto.d.ts`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Failure {
    code: &'static str,
    message: String,
}

#[wasm_bindgen]
impl Failure {
    /// The code; `aborted` if the progress callback stopped the work.
    #[wasm_bindgen(getter)]
    pub fn code(&self) -> String {
        self.code.into()
    }

    /// What is wrong, and the way out.
    #[wasm_bindgen(getter)]
    pub fn message(&self) -> String {
        self.message.clone()
    }
}

impl Failure {
    /// Of an argument that the caller must change.
    pub fn argument(message: impl Into<String>) -> Self {
        Failure { code: "bad-argument", message: message.into() }
    }

    /// Of a fault of the library.
    pub fn internal(message: impl Into<String>) -> Self {
        Failure { code: "internal", message: message.into() }
    }

    /// Of a browser that offers WebGPU but has no adapter for it.
    pub fn no_adapter() -> Self {
        let message = "the browser offers WebGPU but found no GPU that it accepts; update the GPU's driver, or switch on \
                       hardware acceleration in the browser's settings";
        Failure { code: "no-adapter", message: message.into() }
    }

    /// Of a file that is not the net that it should be.
    pub fn net(message: impl Into<String>) -> Self {
        Failure { code: "bad-net", message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::NoAdapter { .. } => "no-adapter",
            Error::Argument { op, .. } if op == "context" => "limits",
            Error::Argument { .. } => "bad-argument",
            Error::Picture { .. } => "bad-picture",
            Error::Weights { .. } => "bad-net",
            Error::TooLarge { .. } => "too-large",
            Error::OutOfMemory(_) => "memory",
            Error::DeviceLost(_) => "device-lost",
            Error::Interrupted(_) => "aborted",
            _ => "internal",
        };
        Failure { code, message: error.to_string() }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure { code: "internal", message: error.to_string() }
    }
}

/// The error of work that the caller stopped.
pub fn stopped() -> Error {
    Error::Interrupted(String::new())
}
