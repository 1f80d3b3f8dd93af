//! The `wherry` command: packs, ships, runs, checkpoints and resumes workloads.

mod carried;
mod commands;
mod data;
mod determinism;
mod events;
mod eviction;
mod exit;
mod failure;
mod gpu;
mod home;
mod isolation;
mod key;
mod launch;
mod mounts;
mod origins;
mod output;
mod policy;
mod receipts;
mod signals;
mod signatures;
mod signing;
mod state;
mod streams;
mod target;
mod transfer;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Cli;

fn main() -> ExitCode {
    let started = std::time::Instant::now();
    if let Some(code) = wherry_node::serve(&failure::describe) {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let json = cli.global.json;
    match commands::run(cli, started) {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(failure::report(&error, json)),
    }
}
