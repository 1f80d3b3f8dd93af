//! Descriptors that a process was started with are for itself, and not for what it starts, unless
//! it passes them on.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Has the kernel close all descriptors but the first three when this process starts another
/// program. Those that Rust opens are so in any case; those that whoever started this process
/// handed down are not.
pub fn keep_descriptors() {
    const FIRST: u32 = 3;
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    #[expect(
        unsafe_code,
        reason = "there is no safe way to name descriptors of others"
    )]
    // SAFETY: nothing is closed here, only marked. Code that wants a descriptor of this process
    // to live on in a program that it starts does not exist in it.
    let done = unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, flags) };
    if done != 0 {
        // Before Linux 5.11.
        one_by_one(FIRST);
    }
}

fn one_by_one(first: u32) {
    let names = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let numbers = names.filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number: &i32| number.unsigned_abs() >= first) {
        #[expect(
            unsafe_code,
            reason = "there is no safe way to name descriptors of others"
        )]
        // SAFETY: as above; one that was closed meanwhile is an error that changes nothing.
        unsafe {
            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Lets the program that `command` starts have these descriptors, under the same numbers.
pub fn pass_on(command: &mut Command, descriptors: &[BorrowedFd<'_>]) {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let keep = move || {
        for number in &numbers {
            #[expect(unsafe_code, reason = "the descriptors are named by their numbers")]
            // SAFETY: only flags change, of descriptors that are this process's own.
            if unsafe { libc::fcntl(*number, libc::F_SETFD, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "between fork and exec only little is allowed")]
    // SAFETY: `fcntl` is async-signal-safe, and nothing else is called: no memory is allocated,
    // no lock taken.
    unsafe {
        command.pre_exec(keep);
    }
}

/// The descriptor with this number, which the process that started this one has [passed
/// on](pass_on). Each can be taken once.
///
/// # Errors
/// It is not open, or was taken before.
pub fn passed_on(number: RawFd) -> io::Result<OwnedFd> {
    static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    #[expect(unsafe_code, reason = "the descriptors are named by their numbers")]
    // SAFETY: only flags change; if the descriptor is not open, the call says so.
    let open = number > 2 && unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
    if !open || !taken.insert(number) {
        let message = format!("the descriptor {number} was not passed on");
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    #[expect(unsafe_code, reason = "the descriptors are named by their numbers")]
    // SAFETY: it is open, was so when this process began, as whoever calls this promises by the
    // name of the number, and nobody else has taken it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
