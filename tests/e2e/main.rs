//! End-to-end tests of the `wherry` binary. One test binary, so that it links once.

mod architectures;
mod carried;
mod cli;
mod contract;
mod deltas;
mod encryption;
mod golden;
mod gpu;
mod gpu_sdk;
mod gpu_workloads;
mod independent_reader;
mod interruptions;
mod limits;
mod policy;
mod random_kills;
mod refused_checkpoints;
mod refused_workloads;
mod registry;
mod registry_server;
mod retention;
mod trust;
mod slurm;
mod slurm_cluster;
mod verify;
mod webgpu_h;
mod workloads;
