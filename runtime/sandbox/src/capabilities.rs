//! The privileges of root, given up.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use crate::report::{Facility, Finding, State};

/// No program that is run from here on has more privileges than this process.
pub(crate) fn no_new_privileges() -> Finding {
    match set_no_new_privs(true) {
        Ok(()) => Finding::new(Facility::NoNewPrivileges, State::Active, "set"),
        Err(error) => Finding::missing(Facility::NoNewPrivileges, error),
    }
}

/// Gives up all capabilities, for ever: without new privileges no program brings them back.
pub(crate) fn drop_all() -> Finding {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    match set_capabilities(None, none) {
        Ok(()) => Finding::new(Facility::Capabilities, State::Active, "dropped"),
        Err(error) => Finding::missing(Facility::Capabilities, error),
    }
}

/// Changing credentials makes a process one that cannot look at its own pages; this one must.
pub(crate) fn stay_dumpable() {
    // Without it, written pages are found by comparing them: slower, and as right.
    let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
}
