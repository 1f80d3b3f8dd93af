//! Where errors go: into the innermost error scope that takes their kind, to the program's handler,
//! or, as everywhere with wgpu, into a panic.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex};

use wgpu::ErrorFilter;
use wherry_gpu_abi::Failure;

use super::host::Failed;
use super::lock;

#[derive(Default)]
pub(crate) struct Errors {
    scopes: Mutex<Vec<Scope>>,
    handler: Mutex<Option<Arc<dyn wgpu::UncapturedErrorHandler>>>,
}

struct Scope {
    filter: ErrorFilter,
    error: Option<wgpu::Error>,
}

/// Something of wgpu that the GPU host does not have.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) String);

impl Unsupported {
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        Unsupported(format!("{what}: not available on a Wherry node"))
    }
}

/// The text of an error of its own; wgpu wants a source for each.
#[derive(Debug)]
struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Message {}

impl Errors {
    /// A rule of WebGPU was broken, in the wgpu function `call`.
    #[track_caller]
    pub(crate) fn invalid(&self, call: &str, message: &str) {
        self.raise(validation(call, message));
    }

    /// The host refused what the wgpu function `call` asked for.
    #[track_caller]
    pub(crate) fn failed(&self, call: &str, failed: Failed) {
        let Failed { failure, message } = failed;
        self.raise(match failure {
            Failure::Validation => validation(call, &message),
            Failure::OutOfMemory => wgpu::Error::OutOfMemory {
                source: Box::new(Message(message)),
            },
            _ => wgpu::Error::Internal {
                description: format!("In {call}: {message}"),
                source: Box::new(Message(message)),
            },
        });
    }

    #[track_caller]
    fn raise(&self, error: wgpu::Error) {
        let filter = match error {
            wgpu::Error::OutOfMemory { .. } => ErrorFilter::OutOfMemory,
            wgpu::Error::Validation { .. } => ErrorFilter::Validation,
            wgpu::Error::Internal { .. } => ErrorFilter::Internal,
        };
        let mut scopes = lock(&self.scopes);
        if let Some(scope) = scopes.iter_mut().rev().find(|scope| scope.filter == filter) {
            scope.error.get_or_insert(error);
            return;
        }
        drop(scopes);
        // The handler may call back into the device, so that nothing is locked.
        let handler = lock(&self.handler).clone();
        match handler {
            Some(handler) => handler(error),
            None => panic!("wgpu error: {error}\n"),
        }
    }

    pub(crate) fn handle_with(&self, handler: Arc<dyn wgpu::UncapturedErrorHandler>) {
        *lock(&self.handler) = Some(handler);
    }

    /// Whether any error scope is open.
    pub(crate) fn are_watched(&self) -> bool {
        !lock(&self.scopes).is_empty()
    }

    /// Opens a scope and returns its place.
    pub(crate) fn push(&self, filter: ErrorFilter) -> u32 {
        let mut scopes = lock(&self.scopes);
        scopes.push(Scope {
            filter,
            error: None,
        });
        (scopes.len() - 1) as u32
    }

    /// Closes the scope at this place, which must be the innermost one.
    #[track_caller]
    pub(crate) fn pop(&self, index: u32) -> Option<wgpu::Error> {
        let mut scopes = lock(&self.scopes);
        let scope = scopes.pop();
        let innermost = scopes.len() == index as usize;
        drop(scopes);
        assert!(
            innermost || std::thread::panicking(),
            "Mismatched pop_error_scope call: error scopes must be popped in reverse order."
        );
        scope?.error
    }
}

impl fmt::Debug for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errors").finish_non_exhaustive()
    }
}

fn validation(call: &str, message: &str) -> wgpu::Error {
    wgpu::Error::Validation {
        description: format!("Validation Error\n\nCaused by:\n  In {call}\n    {message}\n"),
        source: Box::new(Message(message.to_owned())),
    }
}
