//! The system calls that a process has: seccomp, with a list of those that are allowed. A
//! system call that is not on it does not exist (`ENOSYS`), so that libraries fall back to
//! older ones.
//!
//! The list was measured with strace over a job on x86-64 with glibc; what musl and aarch64 use in
//! the place of these was added.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use crate::confinement::{Devices, Role};
use crate::report::{Facility, Finding, State};

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// What every process needs: memory, threads, time, and what it has open.
const BASE: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
];

/// What a job needs besides: files below what it was granted, waiting for input, and freezing
/// its memory.
const JOB: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_symlinkat,
    libc::SYS_linkat,
    libc::SYS_renameat2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_copy_file_range,
    libc::SYS_ppoll,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_shutdown,
    libc::SYS_memfd_create,
];

/// Older forms, which 64-bit ARM never had.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_poll,
    libc::SYS_pause,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_readlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[libc::SYS_renameat];

/// What drivers of GPUs need besides: any control of their devices, buffers shared with other
/// processes, threads of their own with priorities, and looking at the system.
const GPU: &[c_long] = &[
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_get_priority_max,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getcwd,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_flock,
    libc::SYS_statfs,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_get_mempolicy,
];

/// What drivers of GPUs may do with threads of this process, and not with others.
const OF_ITSELF: [c_long; 2] = [libc::SYS_sched_setaffinity, libc::SYS_sched_setscheduler];

/// Controls of terminals, keyboards and consoles, which a job may have been started with. Those of
/// devices of GPUs have other numbers.
const TERMINALS: [(u32, u32); 3] = [(0x4b00, 0x4bff), (0x5400, 0x54ff), (0x5600, 0x56ff)];

/// The controls of devices and descriptors that a job needs: terminals, and its own pages.
const IOCTLS: [u32; 8] = [
    0x5401,      // TCGETS
    0x5413,      // TIOCGWINSZ
    0x5421,      // FIONBIO
    0x541b,      // FIONREAD
    0xc060_6610, // PAGEMAP_SCAN
    0xc018_aa3f, // UFFDIO_API
    0xc020_aa00, // UFFDIO_REGISTER
    0x8010_aa01, // UFFDIO_UNREGISTER
];

/// What may be done with open descriptors: never who gets their signals.
const FCNTLS: [i32; 8] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
];

/// `UFFD_USER_MODE_ONLY`.
const USER_MODE_ONLY: u32 = 1;

/// `PR_SET_VMA`: allocators and runtimes give mappings names.
const PR_SET_VMA: u32 = 0x5356_4d41;

/// Has the kernel refuse every system call that `role` does not need. Applies to this thread and
/// those that it starts.
pub(crate) fn filter(role: Role, devices: &Devices) -> Finding {
    let program = match program(role, devices) {
        Ok(program) => program,
        Err(error) => return Finding::missing(Facility::Seccomp, error),
    };
    match seccompiler::apply_filter(&program) {
        Ok(()) => {
            let count = rules(role, devices).map_or(0, |rules| rules.len());
            let detail = format!("{count} system calls are allowed");
            Finding::new(Facility::Seccomp, State::Active, detail)
        }
        Err(error) => Finding::missing(Facility::Seccomp, error),
    }
}

fn program(role: Role, devices: &Devices) -> Result<BpfProgram, BackendError> {
    let refusal = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules(role, devices)?, refusal, SeccompAction::Allow, arch)?.try_into()
}

fn rules(role: Role, devices: &Devices) -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    // A thread, never a process. `clone3` has its flags in memory, where they cannot be seen.
    let thread = masked(0, libc::CLONE_THREAD.unsigned_abs())?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]);
    let itself = rustix::process::getpid().as_raw_pid().unsigned_abs();
    // To itself, for `abort`.
    rules.insert(libc::SYS_tgkill, one_of(0, [itself])?);
    let prctls = [
        libc::PR_SET_NAME.unsigned_abs(),
        libc::PR_GET_NAME.unsigned_abs(),
        PR_SET_VMA,
    ];
    rules.insert(libc::SYS_prctl, one_of(0, prctls)?);
    // Its own limits, to look at or to lower.
    rules.insert(libc::SYS_prlimit64, one_of(0, [0])?);
    if role == Role::Job {
        rules.insert(libc::SYS_ioctl, one_of(1, IOCTLS)?);
        // Of an open file: whose times a path leads to, Landlock does not ask.
        let no_path = SeccompCmpArgLen::Qword;
        let no_path = SeccompCondition::new(1, no_path, SeccompCmpOp::Eq, 0)?;
        rules.insert(libc::SYS_utimensat, vec![SeccompRule::new(vec![no_path])?]);
        // Faults of the program, never of the kernel, which could be held up with them.
        let own_faults = masked(0, USER_MODE_ONLY)?;
        rules.insert(
            libc::SYS_userfaultfd,
            vec![SeccompRule::new(vec![own_faults])?],
        );
    }
    rules.insert(libc::SYS_fcntl, one_of(1, FCNTLS.map(i32::unsigned_abs))?);
    let allow = |rules: &mut Rules, list: &[c_long]| {
        for number in list {
            rules.insert(*number, Vec::new());
        }
    };
    allow(&mut rules, BASE);
    if role == Role::Job {
        allow(&mut rules, JOB);
        allow(&mut rules, OLDER);
    }
    if matches!(devices, Devices::Gpu { .. }) {
        allow(&mut rules, GPU);
        for number in OF_ITSELF {
            rules.insert(number, one_of(0, [0, itself])?);
        }
        let own = vec![equal(0, itself)?, equal(1, itself)?];
        rules.insert(libc::SYS_kcmp, vec![SeccompRule::new(own)?]);
        let mut controls = one_of(1, IOCTLS)?;
        controls.extend(outside(1, TERMINALS)?);
        rules.insert(libc::SYS_ioctl, controls);
    }
    Ok(rules)
}

/// A call whose argument `index` is in none of these ranges, which are in order.
fn outside<const N: usize>(
    index: u8,
    ranges: [(u32, u32); N],
) -> Result<Vec<SeccompRule>, BackendError> {
    let compare = |operator, value: u32| {
        let value = u64::from(value);
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
    };
    let firsts = ranges.iter().map(|(first, _)| Some(*first)).chain([None]);
    let mut rules = Vec::new();
    let mut above = None;
    for (first, last) in firsts.zip(ranges.iter().map(|(_, last)| Some(*last)).chain([None])) {
        let above_it = above.map(|last| compare(SeccompCmpOp::Gt, last));
        let below_it = first.map(|first| compare(SeccompCmpOp::Lt, first));
        let both = above_it.into_iter().chain(below_it);
        rules.push(SeccompRule::new(both.collect::<Result<_, _>>()?)?);
        above = last;
    }
    Ok(rules)
}

/// A call whose argument `index` is one of `values`.
fn one_of<const N: usize>(index: u8, values: [u32; N]) -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |value| SeccompRule::new(vec![equal(index, value)?]);
    values.into_iter().map(rule).collect()
}

fn equal(index: u8, value: u32) -> Result<SeccompCondition, BackendError> {
    let value = u64::from(value);
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// All bits of `bits` are set.
fn masked(index: u8, bits: u32) -> Result<SeccompCondition, BackendError> {
    let bits = u64::from(bits);
    let all_of = SeccompCmpOp::MaskedEq(bits);
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, all_of, bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_make_programs() {
        let gpu = Devices::Gpu { grants: Vec::new() };
        for role in [Role::Job, Role::Compiler] {
            for devices in [&Devices::None, &gpu] {
                assert!(!program(role, devices).unwrap().is_empty());
            }
        }
    }

    #[test]
    fn nothing_that_starts_or_touches_others_is_on_a_list() {
        let gpu = Devices::Gpu { grants: Vec::new() };
        for role in [Role::Job, Role::Compiler] {
            let rules = rules(role, &gpu).unwrap();
            for number in [
                libc::SYS_execve,
                libc::SYS_execveat,
                libc::SYS_clone3,
                libc::SYS_socket,
                libc::SYS_connect,
                libc::SYS_ptrace,
                libc::SYS_process_vm_writev,
                libc::SYS_kill,
                libc::SYS_pidfd_open,
                libc::SYS_mount,
                libc::SYS_unshare,
                libc::SYS_setns,
                libc::SYS_keyctl,
                libc::SYS_bpf,
                libc::SYS_io_uring_setup,
                libc::SYS_perf_event_open,
                libc::SYS_mknodat,
                libc::SYS_fchmod,
                libc::SYS_fchownat,
                libc::SYS_setuid,
            ] {
                assert!(!rules.contains_key(&number), "{number}");
            }
        }
    }
}
