//! Confines a process to what a job was granted, whatever code runs in it.
//!
//! WebAssembly keeps a program inside its memory, and the host functions keep it inside its
//! directories. This crate is for the day on which one of them has a bug: the process that runs
//! the program, and the one that compiles it, can do with the kernel only what they need.
//!
//! A process calls [`Confinement::apply`] while it has one thread, before it looks at anything
//! that a stranger made. What the kernel lacks is left out and stands in the [`Report`], unless
//! it is [required](Requirement::Require). What can only be done from outside, [`Cgroup`] does.

#[cfg(not(target_os = "linux"))]
compile_error!("wherry-sandbox confines processes with facilities of Linux");

mod capabilities;
mod cgroup;
mod confinement;
mod descriptors;
mod landlock;
mod limits;
mod namespaces;
mod report;
mod seccomp;

pub use cgroup::{Cgroup, CgroupLimits};
pub use confinement::{Access, Confinement, Devices, Error, Grant, Requirement, Role};
pub use descriptors::{keep_descriptors, pass_on, passed_on};
pub use limits::Limits;
pub use report::{Facility, Finding, Report, State};
