//! Other processes, and what a process may become itself.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::call::{call, done, number, parent, text};

pub(crate) fn run_a_program(_: &Path) -> io::Result<()> {
    let arguments = [text(c"true"), std::ptr::null()];
    // If it works, the process is another one, which ends with 0.
    let path = text(c"/bin/true");
    let replaced = call(
        libc::SYS_execve,
        &[path as usize, arguments.as_ptr() as usize, 0],
    );
    done(replaced)
}

pub(crate) fn run_a_program_from_memory(_: &Path) -> io::Result<()> {
    let path = c"";
    let arguments = [text(c"true"), std::ptr::null()];
    let program = File::open("/bin/true");
    let descriptor = program.as_ref();
    let descriptor = descriptor.map_or(0, |program| number(program.as_raw_fd()));
    let empty_path = number(libc::AT_EMPTY_PATH);
    let arguments = arguments.as_ptr() as usize;
    done(call(
        libc::SYS_execveat,
        &[descriptor, path.as_ptr() as usize, arguments, 0, empty_path],
    ))
}

pub(crate) fn fork(_: &Path) -> io::Result<()> {
    match call(libc::SYS_clone, &[number(libc::SIGCHLD)])? {
        0 => std::process::exit(0),
        _ => Ok(()),
    }
}

pub(crate) fn vfork_by_clone3(_: &Path) -> io::Result<()> {
    // `struct clone_args` of the first version: all zero but the signal.
    let mut arguments = [0_u64; 8];
    arguments[4] = u64::from(libc::SIGCHLD.unsigned_abs());
    let size = size_of_val(&arguments);
    match call(libc::SYS_clone3, &[arguments.as_ptr() as usize, size])? {
        0 => std::process::exit(0),
        _ => Ok(()),
    }
}

pub(crate) fn trace_the_parent(_: &Path) -> io::Result<()> {
    let attach = 0x4206; // PTRACE_SEIZE: does not stop it
    done(call(libc::SYS_ptrace, &[attach, parent(), 0, 0]))
}

pub(crate) fn write_into_the_parent(_: &Path) -> io::Result<()> {
    // Nothing is written where there is nothing to write; the right is checked all the same.
    done(call(
        libc::SYS_process_vm_writev,
        &[parent(), 0, 0, 0, 0, 0],
    ))
}

pub(crate) fn signal_the_parent(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_kill, &[parent(), 0]))
}

pub(crate) fn signal_a_thread_of_the_parent(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_tgkill, &[parent(), parent(), 0]))
}

pub(crate) fn open_the_parent(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_pidfd_open, &[parent(), 0]))
}

pub(crate) fn become_another_user(_: &Path) -> io::Result<()> {
    let own = rustix::process::getuid().as_raw() as usize;
    done(call(libc::SYS_setuid, &[own]))
}

pub(crate) fn change_limits_of_another_process(_: &Path) -> io::Result<()> {
    let (cpu, mut limit) = (0, [0_u64; 2]);
    call(
        libc::SYS_prlimit64,
        &[0, cpu, 0, limit.as_mut_ptr() as usize],
    )?;
    done(call(
        libc::SYS_prlimit64,
        &[parent(), cpu, limit.as_ptr() as usize, 0],
    ))
}

pub(crate) fn move_signals_of_a_descriptor(_: &Path) -> io::Result<()> {
    let set_owner = number(libc::F_SETOWN);
    done(call(libc::SYS_fcntl, &[0, set_owner, parent()]))
}

pub(crate) fn type_into_the_terminal(_: &Path) -> io::Result<()> {
    let (push, letter) = (0x5412, b"x"); // TIOCSTI
    done(call(libc::SYS_ioctl, &[0, push, letter.as_ptr() as usize]))
}

pub(crate) fn start_a_thread(_: &Path) -> io::Result<()> {
    let thread = std::thread::Builder::new()
        .name("other".to_owned())
        .spawn(|| 7)?;
    match thread.join() {
        Ok(7) => Ok(()),
        _ => Err(io::Error::other("the thread did not run")),
    }
}

pub(crate) fn open_too_many_files(_: &Path) -> io::Result<()> {
    for _ in 0..64 {
        call(libc::SYS_dup, &[0])?;
    }
    Ok(())
}

pub(crate) fn take_too_much_memory(_: &Path) -> io::Result<()> {
    let bytes = 1 << 30;
    let access = number(libc::PROT_READ | libc::PROT_WRITE);
    let kind = number(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    done(call(
        libc::SYS_mmap,
        &[0, bytes, access, kind, usize::MAX, 0],
    ))
}

pub(crate) fn make_code_at_run_time(_: &Path) -> io::Result<()> {
    let (bytes, access) = (4096, number(libc::PROT_READ | libc::PROT_WRITE));
    let kind = number(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let page = call(libc::SYS_mmap, &[0, bytes, access, kind, usize::MAX, 0])?;
    let run = number(libc::PROT_READ | libc::PROT_EXEC);
    done(call(libc::SYS_mprotect, &[page, bytes, run]))
}

fn prctl(arguments: &[i32]) -> io::Result<()> {
    let arguments: Vec<_> = arguments.iter().copied().map(number).collect();
    done(call(libc::SYS_prctl, &arguments))
}

pub(crate) fn read_memory_of_the_parent(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_process_vm_readv, &[parent(), 0, 0, 0, 0, 0]))
}

pub(crate) fn take_a_descriptor_of_the_parent(_: &Path) -> io::Result<()> {
    let process = call(libc::SYS_pidfd_open, &[parent(), 0])?;
    done(call(libc::SYS_pidfd_getfd, &[process, 0, 0]))
}

pub(crate) fn take_a_descriptor_of_any_process(_: &Path) -> io::Result<()> {
    // There is no such process, and the right to ask is checked first.
    done(call(libc::SYS_pidfd_getfd, &[usize::MAX, 0, 0]))
}

pub(crate) fn compare_with_the_parent(_: &Path) -> io::Result<()> {
    let own = std::process::id() as usize;
    let (file, first) = (0, 0);
    done(call(libc::SYS_kcmp, &[own, parent(), file, first, first]))
}

pub(crate) fn change_the_priority_of_the_parent(_: &Path) -> io::Result<()> {
    let process = 0;
    let inverted = call(libc::SYS_getpriority, &[process, parent()])?;
    let as_before = 20_usize.wrapping_sub(inverted);
    done(call(libc::SYS_setpriority, &[process, parent(), as_before]))
}

pub(crate) fn change_the_scheduling_of_the_parent(_: &Path) -> io::Result<()> {
    let (as_before, zero) = (0, 0_i32);
    done(call(
        libc::SYS_sched_setscheduler,
        &[parent(), as_before, &raw const zero as usize],
    ))
}

pub(crate) fn move_the_parent_to_other_processors(_: &Path) -> io::Result<()> {
    let mut set = [0_u64; 128];
    let size = size_of_val(&set);
    let set = set.as_mut_ptr() as usize;
    call(libc::SYS_sched_getaffinity, &[parent(), size, set])?;
    done(call(libc::SYS_sched_setaffinity, &[parent(), size, set]))
}

pub(crate) fn move_the_memory_of_the_parent(_: &Path) -> io::Result<()> {
    let (nodes, all) = (64, [u64::MAX]);
    let all = all.as_ptr() as usize;
    done(call(libc::SYS_migrate_pages, &[parent(), nodes, all, all]))
}

pub(crate) fn signal_by_tkill(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_tkill, &[parent(), 0]))
}

pub(crate) fn signal_with_a_value(_: &Path) -> io::Result<()> {
    // `siginfo_t` with `SI_QUEUE`.
    let mut information = [0_i32; 32];
    information[2] = -1;
    let information = information.as_ptr() as usize;
    done(call(libc::SYS_rt_sigqueueinfo, &[parent(), 0, information]))
}

pub(crate) fn choose_the_signal_of_a_descriptor(_: &Path) -> io::Result<()> {
    let kill = number(libc::SIGKILL);
    let set_signal = 10;
    done(call(libc::SYS_fcntl, &[0, set_signal, kill]))
}

pub(crate) fn leave_the_process_group(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_setpgid, &[0, 0]))
}

pub(crate) fn outlive_the_supervisor(_: &Path) -> io::Result<()> {
    prctl(&[libc::PR_SET_PDEATHSIG, 0])
}

pub(crate) fn change_who_may_look(_: &Path) -> io::Result<()> {
    prctl(&[libc::PR_SET_DUMPABLE, 1])
}

pub(crate) fn keep_capabilities(_: &Path) -> io::Result<()> {
    prctl(&[libc::PR_SET_KEEPCAPS, 1])
}

pub(crate) fn take_capabilities_along(_: &Path) -> io::Result<()> {
    let raise = 2;
    prctl(&[libc::PR_CAP_AMBIENT, raise, 0, 0, 0])
}

pub(crate) fn have_new_privileges_again(_: &Path) -> io::Result<()> {
    prctl(&[libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0])
}

pub(crate) fn change_the_map_of_its_memory(_: &Path) -> io::Result<()> {
    prctl(&[libc::PR_SET_MM, libc::PR_SET_MM_BRK, 0, 0, 0])
}

pub(crate) fn let_others_trace_it(_: &Path) -> io::Result<()> {
    let set_tracer = 0x5961_6d61;
    prctl(&[set_tracer, 1, 0, 0, 0])
}

pub(crate) fn replace_the_filter(_: &Path) -> io::Result<()> {
    let (ask_for_an_action, allow) = (2, 0x7fff_0000_u32);
    done(call(
        libc::SYS_seccomp,
        &[ask_for_an_action, 0, &raw const allow as usize],
    ))
}

pub(crate) fn restrict_its_files_otherwise(_: &Path) -> io::Result<()> {
    let only_ask_for_the_version = 1;
    done(call(
        libc::SYS_landlock_create_ruleset,
        &[0, 0, only_ask_for_the_version],
    ))
}

pub(crate) fn set_capabilities(_: &Path) -> io::Result<()> {
    let (mut header, mut data) = ([0x2008_0522_u32, 0], [0_u32; 6]);
    let (header, data) = (header.as_mut_ptr() as usize, data.as_mut_ptr() as usize);
    call(libc::SYS_capget, &[header, data])?;
    done(call(libc::SYS_capset, &[header, data]))
}

pub(crate) fn raise_a_limit(_: &Path) -> io::Result<()> {
    let files = libc::RLIMIT_NOFILE as usize;
    let mut limit = [0_u64; 2];
    call(
        libc::SYS_prlimit64,
        &[0, files, 0, limit.as_mut_ptr() as usize],
    )?;
    let more = limit.map(|limit| limit + 1);
    done(call(
        libc::SYS_prlimit64,
        &[0, files, more.as_ptr() as usize, 0],
    ))
}
