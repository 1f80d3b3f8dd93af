//! The host, driven as a guest's library drives it: on wgpu's backend that does nothing, and on
//! drivers that run on the CPU where there are some.

mod calls;
mod compute;
mod guest;
mod hostile;
mod loss;
mod moving;
mod quotas;
mod random_moves;
mod render;
#[path = "../../abi/tests/vectors/samples.rs"]
#[expect(dead_code, reason = "those of records are not needed")]
mod samples;
