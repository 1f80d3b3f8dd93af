//! What is tried, and what must stop it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, RenameFlags};

/// Something that a process tries.
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) action: fn(&Path) -> io::Result<()>,
    pub(crate) stopped: Stopped,
    /// The machine, or who runs the test, may not be able to do it in any case.
    pub(crate) may_be_absent: bool,
}

/// What must stop it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stopped {
    /// `EACCES`; `EXDEV` if it would move a file out.
    Landlock,
    /// `ENOSYS`.
    Seccomp,
    /// This error, or death by a signal.
    Rlimits(i32),
}

impl Stopped {
    pub(crate) fn is(self, code: i32) -> bool {
        match self {
            Stopped::Landlock => [libc::EACCES, libc::EXDEV].contains(&code),
            Stopped::Seccomp => code == libc::ENOSYS,
            Stopped::Rlimits(errno) => code == errno,
        }
    }

    pub(crate) fn by(self) -> &'static str {
        match self {
            Stopped::Landlock => "Landlock",
            Stopped::Seccomp => "seccomp",
            Stopped::Rlimits(_) => "a limit of the process",
        }
    }
}

/// What lies around when the process starts: two directories that it is granted, and a file
/// that it is not.
pub(crate) fn prepare(directory: &Path) -> io::Result<()> {
    for name in ["scratch", "lent"] {
        fs::create_dir(directory.join(name))?;
        fs::write(directory.join(name).join("own"), "own")?;
    }
    symlink("../secret", directory.join("scratch/link"))?;
    fs::write(directory.join("secret"), "secret")
}

macro_rules! attempts {
    ($($name:ident: $stopped:expr $(, $absent:ident)?;)*) => {
        &[$(Attempt {
            name: stringify!($name),
            action: $name,
            stopped: $stopped,
            may_be_absent: attempts!(@ $($absent)?),
        },)*]
    };
    (@ may_be_absent) => { true };
    (@) => { false };
}

use Stopped::{Landlock, Rlimits, Seccomp};

pub(crate) const ATTEMPTS: &[Attempt] = attempts! {
    read_a_file_outside: Landlock;
    read_through_dot_dot: Landlock;
    read_through_a_symbolic_link: Landlock;
    read_etc_passwd: Landlock;
    read_own_environment: Landlock;
    read_through_proc_root: Landlock;
    list_a_directory_outside: Landlock;
    list_the_root: Landlock;
    write_a_file_outside: Landlock;
    truncate_a_file_outside: Landlock;
    make_a_file_outside: Landlock;
    make_a_directory_outside: Landlock;
    delete_a_file_outside: Landlock;
    link_a_file_outside: Landlock;
    rename_out: Landlock;
    rename_in: Landlock;
    write_what_is_lent_for_reading: Landlock;
    delete_what_is_lent_for_reading: Landlock;
    open_a_device: Landlock;
    run_a_program: Seccomp;
    run_a_program_from_memory: Seccomp;
    fork: Seccomp;
    vfork_by_clone3: Seccomp;
    make_a_tcp_socket: Seccomp;
    make_a_unix_socket: Seccomp;
    make_a_netlink_socket: Seccomp;
    trace_the_parent: Seccomp;
    write_into_the_parent: Seccomp;
    signal_the_parent: Seccomp;
    signal_a_thread_of_the_parent: Seccomp;
    open_the_parent: Seccomp;
    make_a_device: Seccomp, may_be_absent;
    change_modes: Seccomp;
    change_owners: Seccomp;
    mount_a_file_system: Seccomp, may_be_absent;
    change_the_root: Seccomp, may_be_absent;
    enter_a_user_namespace: Seccomp, may_be_absent;
    join_a_namespace: Seccomp, may_be_absent;
    become_another_user: Seccomp;
    use_the_keyring: Seccomp, may_be_absent;
    use_io_uring: Seccomp, may_be_absent;
    load_a_bpf_program: Seccomp, may_be_absent;
    watch_performance_counters: Seccomp, may_be_absent;
    use_shared_memory_of_others: Seccomp;
    move_signals_of_a_descriptor: Seccomp;
    type_into_the_terminal: Seccomp, may_be_absent;
    change_the_personality: Seccomp;
    change_limits_of_another_process: Seccomp, may_be_absent;
    change_the_clock: Seccomp, may_be_absent;
    reboot_the_machine: Seccomp, may_be_absent;
    open_too_many_files: Rlimits(libc::EMFILE);
    take_too_much_memory: Rlimits(libc::ENOMEM);
};

/// What must go on working.
pub(crate) const WORKS: &[Attempt] = attempts! {
    read_what_is_lent: Landlock;
    write_to_scratch: Landlock;
    rename_within_scratch: Landlock;
    start_a_thread: Seccomp;
    make_code_at_run_time: Seccomp;
};

/// A system call, with up to six arguments.
fn call(number: libc::c_long, arguments: &[usize]) -> io::Result<usize> {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    #[expect(unsafe_code, reason = "attackers have no wrappers either")]
    // SAFETY: the process exists for this call alone; pointers among the arguments are to
    // things that live until it returns.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    match usize::try_from(result) {
        Ok(result) => Ok(result),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

fn done(result: io::Result<usize>) -> io::Result<()> {
    result.map(drop)
}

const fn text(text: &'static std::ffi::CStr) -> *const libc::c_char {
    text.as_ptr()
}

fn parent() -> usize {
    std::os::unix::process::parent_id() as usize
}

fn number(value: i32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

// The forms of these calls that the engine uses, too: older ones are not on the list.

fn make_directory(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(CWD, path, Mode::RWXU)?)
}

fn remove(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::empty())?)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let flags = RenameFlags::empty();
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, flags)?)
}

fn read_a_file_outside(at: &Path) -> io::Result<()> {
    fs::read(at.join("secret")).map(drop)
}

fn read_through_dot_dot(at: &Path) -> io::Result<()> {
    fs::read(at.join("scratch/../secret")).map(drop)
}

fn read_through_a_symbolic_link(at: &Path) -> io::Result<()> {
    fs::read(at.join("scratch/link")).map(drop)
}

fn read_etc_passwd(_: &Path) -> io::Result<()> {
    fs::read("/etc/passwd").map(drop)
}

fn read_own_environment(_: &Path) -> io::Result<()> {
    fs::read("/proc/self/environ").map(drop)
}

fn read_through_proc_root(_: &Path) -> io::Result<()> {
    fs::read("/proc/self/root/etc/passwd").map(drop)
}

fn list_a_directory_outside(at: &Path) -> io::Result<()> {
    fs::read_dir(at).map(drop)
}

fn list_the_root(_: &Path) -> io::Result<()> {
    fs::read_dir("/").map(drop)
}

fn write_a_file_outside(at: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(at.join("secret"))
        .map(drop)
}

fn truncate_a_file_outside(at: &Path) -> io::Result<()> {
    File::create(at.join("secret")).map(drop)
}

fn make_a_file_outside(at: &Path) -> io::Result<()> {
    File::create(at.join("new")).map(drop)
}

fn make_a_directory_outside(at: &Path) -> io::Result<()> {
    make_directory(&at.join("new"))
}

fn delete_a_file_outside(at: &Path) -> io::Result<()> {
    remove(&at.join("secret"))
}

fn link_a_file_outside(at: &Path) -> io::Result<()> {
    fs::hard_link(at.join("secret"), at.join("scratch/secret"))
}

fn rename_out(at: &Path) -> io::Result<()> {
    rename(&at.join("scratch/own"), &at.join("own"))
}

fn rename_in(at: &Path) -> io::Result<()> {
    rename(&at.join("secret"), &at.join("scratch/secret"))
}

fn write_what_is_lent_for_reading(at: &Path) -> io::Result<()> {
    OpenOptions::new()
        .append(true)
        .open(at.join("lent/own"))
        .map(drop)
}

fn delete_what_is_lent_for_reading(at: &Path) -> io::Result<()> {
    remove(&at.join("lent/own"))
}

fn open_a_device(_: &Path) -> io::Result<()> {
    File::open("/dev/zero").map(drop)
}

fn run_a_program(_: &Path) -> io::Result<()> {
    let arguments = [text(c"true"), std::ptr::null()];
    // If it works, the process is another one, which ends with 0.
    let path = text(c"/bin/true");
    let replaced = call(
        libc::SYS_execve,
        &[path as usize, arguments.as_ptr() as usize, 0],
    );
    done(replaced)
}

fn run_a_program_from_memory(_: &Path) -> io::Result<()> {
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

fn fork(_: &Path) -> io::Result<()> {
    match call(libc::SYS_clone, &[number(libc::SIGCHLD)])? {
        0 => std::process::exit(0),
        _ => Ok(()),
    }
}

fn vfork_by_clone3(_: &Path) -> io::Result<()> {
    // `struct clone_args` of the first version: all zero but the signal.
    let mut arguments = [0_u64; 8];
    arguments[4] = u64::from(libc::SIGCHLD.unsigned_abs());
    let size = size_of_val(&arguments);
    match call(libc::SYS_clone3, &[arguments.as_ptr() as usize, size])? {
        0 => std::process::exit(0),
        _ => Ok(()),
    }
}

fn socket(family: i32, kind: i32) -> io::Result<()> {
    done(call(libc::SYS_socket, &[number(family), number(kind), 0]))
}

fn make_a_tcp_socket(_: &Path) -> io::Result<()> {
    socket(libc::AF_INET, libc::SOCK_STREAM)
}

fn make_a_unix_socket(_: &Path) -> io::Result<()> {
    socket(libc::AF_UNIX, libc::SOCK_STREAM)
}

fn make_a_netlink_socket(_: &Path) -> io::Result<()> {
    socket(libc::AF_NETLINK, libc::SOCK_RAW)
}

fn trace_the_parent(_: &Path) -> io::Result<()> {
    let attach = 0x4206; // PTRACE_SEIZE: does not stop it
    done(call(libc::SYS_ptrace, &[attach, parent(), 0, 0]))
}

fn write_into_the_parent(_: &Path) -> io::Result<()> {
    // Nothing is written where there is nothing to write; the right is checked all the same.
    done(call(
        libc::SYS_process_vm_writev,
        &[parent(), 0, 0, 0, 0, 0],
    ))
}

fn signal_the_parent(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_kill, &[parent(), 0]))
}

fn signal_a_thread_of_the_parent(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_tgkill, &[parent(), parent(), 0]))
}

fn open_the_parent(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_pidfd_open, &[parent(), 0]))
}

fn make_a_device(at: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(at.join("scratch/device").to_string_lossy().as_bytes())?;
    let mode = (libc::S_IFCHR | 0o600) as usize;
    let zero = 0x105;
    let here = libc::AT_FDCWD as usize;
    done(call(
        libc::SYS_mknodat,
        &[here, path.as_ptr() as usize, mode, zero],
    ))
}

fn change_modes(at: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(at.join("scratch/own"), fs::Permissions::from_mode(0o4755))
}

fn change_owners(at: &Path) -> io::Result<()> {
    std::os::unix::fs::chown(at.join("scratch/own"), None, None)
}

fn mount_a_file_system(at: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(at.join("scratch").to_string_lossy().as_bytes())?;
    let kind = text(c"tmpfs") as usize;
    // In namespaces of its own, so that the free one leaves nothing behind.
    call(
        libc::SYS_unshare,
        &[number(libc::CLONE_NEWNS | libc::CLONE_NEWUSER)],
    )?;
    done(call(
        libc::SYS_mount,
        &[kind, path.as_ptr() as usize, kind, 0, 0],
    ))
}

fn change_the_root(at: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(at.to_string_lossy().as_bytes())?;
    done(call(libc::SYS_chroot, &[path.as_ptr() as usize]))
}

fn enter_a_user_namespace(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_unshare, &[number(libc::CLONE_NEWUSER)]))
}

fn join_a_namespace(_: &Path) -> io::Result<()> {
    let own = File::open("/proc/self/ns/uts");
    let descriptor = own.as_ref().map_or(0, |own| number(own.as_raw_fd()));
    done(call(libc::SYS_setns, &[descriptor, 0]))
}

fn become_another_user(_: &Path) -> io::Result<()> {
    let own = rustix::process::getuid().as_raw() as usize;
    done(call(libc::SYS_setuid, &[own]))
}

fn use_the_keyring(_: &Path) -> io::Result<()> {
    let (get_id, session) = (0, -3_isize as usize);
    done(call(libc::SYS_keyctl, &[get_id, session, 1]))
}

fn use_io_uring(_: &Path) -> io::Result<()> {
    let parameters = [0_u8; 120];
    done(call(
        libc::SYS_io_uring_setup,
        &[1, parameters.as_ptr() as usize],
    ))
}

fn load_a_bpf_program(_: &Path) -> io::Result<()> {
    // A map of one element.
    let attributes = [2_u32, 4, 4, 1, 0];
    let size = size_of_val(&attributes);
    done(call(
        libc::SYS_bpf,
        &[0, attributes.as_ptr() as usize, size],
    ))
}

fn watch_performance_counters(_: &Path) -> io::Result<()> {
    // `struct perf_event_attr`: software, its size, the CPU clock.
    let mut attributes = [0_u32; 32];
    (attributes[0], attributes[1]) = (1, 128);
    let (own, any) = (0, usize::MAX);
    done(call(
        libc::SYS_perf_event_open,
        &[attributes.as_ptr() as usize, own, any, any, 0],
    ))
}

fn use_shared_memory_of_others(_: &Path) -> io::Result<()> {
    let size = 4096;
    let id = call(libc::SYS_shmget, &[0, size, 0o600])?;
    done(call(libc::SYS_shmctl, &[id, number(libc::IPC_RMID), 0]))
}

fn move_signals_of_a_descriptor(_: &Path) -> io::Result<()> {
    let set_owner = number(libc::F_SETOWN);
    done(call(libc::SYS_fcntl, &[0, set_owner, parent()]))
}

fn type_into_the_terminal(_: &Path) -> io::Result<()> {
    let (push, letter) = (0x5412, b"x"); // TIOCSTI
    done(call(libc::SYS_ioctl, &[0, push, letter.as_ptr() as usize]))
}

fn change_the_personality(_: &Path) -> io::Result<()> {
    let only_ask = 0xffff_ffff;
    done(call(libc::SYS_personality, &[only_ask]))
}

fn change_limits_of_another_process(_: &Path) -> io::Result<()> {
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

fn change_the_clock(_: &Path) -> io::Result<()> {
    // Asks for nothing to be changed, which takes no privileges.
    let nothing = [0_u64; 32];
    done(call(libc::SYS_adjtimex, &[nothing.as_ptr() as usize]))
}

fn reboot_the_machine(_: &Path) -> io::Result<()> {
    let (first, wrong) = (0xfee1_dead, 0);
    done(call(libc::SYS_reboot, &[first, wrong, 0, 0]))
}

fn open_too_many_files(_: &Path) -> io::Result<()> {
    for _ in 0..64 {
        call(libc::SYS_dup, &[0])?;
    }
    Ok(())
}

fn take_too_much_memory(_: &Path) -> io::Result<()> {
    let bytes = 1 << 30;
    let access = number(libc::PROT_READ | libc::PROT_WRITE);
    let kind = number(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    done(call(
        libc::SYS_mmap,
        &[0, bytes, access, kind, usize::MAX, 0],
    ))
}

fn read_what_is_lent(at: &Path) -> io::Result<()> {
    fs::read(at.join("lent/own"))?;
    fs::read_dir(at.join("lent")).map(drop)
}

fn write_to_scratch(at: &Path) -> io::Result<()> {
    fs::write(at.join("scratch/new"), "new")?;
    make_directory(&at.join("scratch/directory"))?;
    rustix::fs::symlinkat("new", CWD, at.join("scratch/directory/link"))?;
    remove(&at.join("scratch/own"))
}

fn rename_within_scratch(at: &Path) -> io::Result<()> {
    make_directory(&at.join("scratch/directory"))?;
    rename(&at.join("scratch/own"), &at.join("scratch/directory/own"))
}

fn start_a_thread(_: &Path) -> io::Result<()> {
    let thread = std::thread::Builder::new()
        .name("other".to_owned())
        .spawn(|| 7)?;
    match thread.join() {
        Ok(7) => Ok(()),
        _ => Err(io::Error::other("the thread did not run")),
    }
}

fn make_code_at_run_time(_: &Path) -> io::Result<()> {
    let (bytes, access) = (4096, number(libc::PROT_READ | libc::PROT_WRITE));
    let kind = number(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let page = call(libc::SYS_mmap, &[0, bytes, access, kind, usize::MAX, 0])?;
    let run = number(libc::PROT_READ | libc::PROT_EXEC);
    done(call(libc::SYS_mprotect, &[page, bytes, run]))
}
