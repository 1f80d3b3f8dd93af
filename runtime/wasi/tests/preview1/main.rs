//! Preview 1, function by function, as a guest sees it: through its memory.

mod arguments;
mod clocks;
mod descriptors;
mod determinism;
mod directories;
mod escapes;
mod files;
mod guest;
mod hostile;
mod links;
mod listing;
mod opening;
mod polling;
mod quotas;
mod restoring;
mod rights;
mod streams;
