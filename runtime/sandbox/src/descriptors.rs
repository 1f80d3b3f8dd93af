//! Descriptors that a process was started with are for itself, and not for what it starts.

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
