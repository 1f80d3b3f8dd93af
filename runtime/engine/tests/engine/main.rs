//! Tests of the engine through its public interface. One binary, so that it links once.

mod captures;
mod common;
mod deltas;
mod deterministic;
mod gpu;
mod interpreter;
mod refusals;
mod stopping;
mod ways_back;
