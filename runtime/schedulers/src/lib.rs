//! Wherry's jobs under the schedulers that clusters have: one module for each of them. What is
//! told to a scheduler uses nothing but the command line of `wherry` and its contract, which
//! `docs/integrating.md` has.

mod shell;
pub mod slurm;
