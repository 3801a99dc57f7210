//! Callbacks of the device as futures.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// A future that is ready once a callback has been called.
pub(super) struct Signal<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

impl<T> State<T> {
    fn lock(state: &Mutex<Self>) -> MutexGuard<'_, Self> {
        state.lock().unwrap_or_else(|error| error.into_inner())
    }
}

impl<T> Signal<T> {
    /// The callback, and the future of the value that it is called with.
    pub fn new() -> (impl FnOnce(T), Self) {
        let state = Arc::new(Mutex::new(State { value: None, waker: None }));
        let shared = state.clone();
        let callback = move |value| {
            let mut state = State::lock(&shared);
            state.value = Some(value);
            if let Some(waker) = state.waker.take() {
                drop(state);
                waker.wake();
            }
        };
        (callback, Signal(state))
    }
}

impl<T> Future for Signal<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = State::lock(&self.0);
        match state.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
