// Errors of the library.

/** An error with a code; the message names the thing and the way out. */
export class ImpastoError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "ImpastoError";
    this.code = code;
  }
}

/** Whether the error says that the caller stopped the work. */
export function isAbort(error) {
  return error?.name === "AbortError" || error?.code === "aborted";
}

/** The error of the library for whatever was thrown. */
export function failed(error) {
  if (error instanceof ImpastoError || isAbort(error)) return error;
  // A failure of the engine has a code; everything else is unexpected.
  if (typeof error?.code === "string" && error.code) return new ImpastoError(error.code, error.message);
  if (error instanceof WebAssembly.RuntimeError) {
    return new ImpastoError("internal", `the engine has stopped (${error.message}); reload the page`);
  }
  return new ImpastoError("internal", error?.message ?? String(error));
}
