//! The handle of a device.

use std::ffi::{CStr, CString, c_char};
use std::sync::Mutex;

use impasto::gpu::{Context, ContextOptions};

use crate::status::{Failure, ImpastoStatus, guard};

/// An open GPU device. Any thread may use it; calls that load a net wait for each other. Models keep what they need of
/// it, so it may be freed before them.
pub struct ImpastoContext {
    pub(crate) context: Mutex<Context>,
    name: CString,
}

/// The text that `text` points to.
///
/// # Safety
/// NULL, or a text with a NUL at its end that lives as long as the result.
pub(crate) unsafe fn text<'a>(text: *const c_char, argument: &str) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller has promised the rest.
    let text = unsafe { CStr::from_ptr(text) };
    let utf8 = || Failure::argument(format!("{argument} must be UTF-8, got {}", text.to_string_lossy()));
    text.to_str().map(Some).map_err(|_| utf8())
}

/// Opens a GPU device.
///
/// `device` is the number of an adapter or a part of its name, and `precision` how nets are stored: `f32`, `f16` (half
/// the memory) or `f16-matrix` (multiplied on the adapter's tensor cores), where the adapter supports it. NULL chooses
/// the first adapter (or that of the environment variable `IMPASTO_DEVICE`) and `f32`. A GPU comes before a software
/// adapter. A name without a match gives an error that lists the adapters.
///
/// `*context` is the new handle, which `impasto_context_free` takes, or NULL if the call fails.
///
/// # Safety
/// `device` and `precision` are NULL or texts with a NUL at their ends. `context` points to a place for a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_context_new(
    device: *const c_char,
    precision: *const c_char,
    context: *mut *mut ImpastoContext,
) -> ImpastoStatus {
    guard(|| {
        // SAFETY: promised by the caller.
        let made = unsafe { place(context, "context") }?;
        // SAFETY: promised by the caller.
        let [device, precision] = unsafe { [text(device, "device")?, text(precision, "precision")?] };
        let options = ContextOptions { device: device.map(str::to_string), ..ContextOptions::default() };
        let opened = Context::new(&options.in_precision(precision.unwrap_or("f32"))?)?;
        let name = CString::new(opened.name()).unwrap_or_default();
        *made = Box::into_raw(Box::new(ImpastoContext { context: Mutex::new(opened), name }));
        Ok(())
    })
}

/// The place where a handle is returned, which is NULL for now.
///
/// # Safety
/// NULL, or a place that can be written.
pub(crate) unsafe fn place<'a, T>(handle: *mut *mut T, argument: &str) -> Result<&'a mut *mut T, Failure> {
    if handle.is_null() {
        return Err(Failure::null(argument));
    }
    // SAFETY: not NULL, and the caller has promised the rest. The old value is not read: it may be uninitialised.
    unsafe {
        handle.write(std::ptr::null_mut());
        Ok(&mut *handle)
    }
}

/// The name of the adapter, such as `NVIDIA GeForce RTX 4090`; NULL for NULL. The text lives as long as the context.
///
/// # Safety
/// `context` is NULL or a context that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_context_device(context: *const ImpastoContext) -> *const c_char {
    // SAFETY: promised by the caller.
    unsafe { context.as_ref() }.map_or(std::ptr::null(), |context| context.name.as_ptr())
}

/// Frees a context. NULL is allowed. No other call may use the context during this call or after it; models that were
/// loaded with it still work. Freeing a context twice is undefined behaviour.
///
/// # Safety
/// `context` is NULL, or of `impasto_context_new` and not freed, and not in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_context_free(context: *mut ImpastoContext) {
    // SAFETY: promised by the caller.
    unsafe { free(context) };
}

/// Frees what `Box::into_raw` gave.
///
/// # Safety
/// NULL, or of `Box::into_raw` and not freed.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: not NULL, and the caller has promised the rest.
        let owned = unsafe { Box::from_raw(handle) };
        guard(move || {
            drop(owned);
            Ok(())
        });
    }
}
