//! End-to-end tests of the `wherry` binary. One test binary, so that it links once.

mod architectures;
mod carried;
mod cgroup_v2;
mod cli;
mod contract;
mod cosign;
mod data;
mod deaths;
mod deltas;
mod encryption;
mod golden;
mod gpu;
mod gpu_sdk;
mod gpu_workloads;
mod hostile;
mod independent_reader;
mod interruptions;
mod killed_pushes;
mod limits;
mod nodes;
mod oras;
mod origins;
mod policy;
#[allow(dead_code, reason = "the tests of the registry client use more of it")]
#[path = "../../registry-client/tests/support/proxy.rs"]
mod proxy;
mod random_kills;
mod receipts;
mod refused_checkpoints;
mod refused_workloads;
mod registry;
mod registry_server;
mod retention;
#[path = "../../registry-client/tests/support/second.rs"]
mod second;
mod slurm;
mod slurm_cluster;
mod trust;
mod verify;
mod webgpu_h;
mod workloads;
