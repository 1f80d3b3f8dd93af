//! Tests of the engine through its public interface. One binary, so that it links once.

mod captures;
mod common;
mod deltas;
mod deterministic;
mod refusals;
mod stopping;
