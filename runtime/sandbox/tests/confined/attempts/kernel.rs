//! The rest of the kernel.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::call::{HERE, call, done, number, path, text};

fn socket(family: i32, kind: i32) -> io::Result<()> {
    done(call(libc::SYS_socket, &[number(family), number(kind), 0]))
}

pub(crate) fn make_a_tcp_socket(_: &Path) -> io::Result<()> {
    socket(libc::AF_INET, libc::SOCK_STREAM)
}

pub(crate) fn make_a_unix_socket(_: &Path) -> io::Result<()> {
    socket(libc::AF_UNIX, libc::SOCK_STREAM)
}

pub(crate) fn make_a_netlink_socket(_: &Path) -> io::Result<()> {
    socket(libc::AF_NETLINK, libc::SOCK_RAW)
}

pub(crate) fn mount_a_file_system(at: &Path) -> io::Result<()> {
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

pub(crate) fn change_the_root(at: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(at.to_string_lossy().as_bytes())?;
    done(call(libc::SYS_chroot, &[path.as_ptr() as usize]))
}

pub(crate) fn enter_a_user_namespace(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_unshare, &[number(libc::CLONE_NEWUSER)]))
}

pub(crate) fn join_a_namespace(_: &Path) -> io::Result<()> {
    let own = File::open("/proc/self/ns/uts");
    let descriptor = own.as_ref().map_or(0, |own| number(own.as_raw_fd()));
    done(call(libc::SYS_setns, &[descriptor, 0]))
}

pub(crate) fn use_the_keyring(_: &Path) -> io::Result<()> {
    let (get_id, session) = (0, -3_isize as usize);
    done(call(libc::SYS_keyctl, &[get_id, session, 1]))
}

pub(crate) fn use_io_uring(_: &Path) -> io::Result<()> {
    let parameters = [0_u8; 120];
    done(call(
        libc::SYS_io_uring_setup,
        &[1, parameters.as_ptr() as usize],
    ))
}

pub(crate) fn load_a_bpf_program(_: &Path) -> io::Result<()> {
    // A map of one element.
    let attributes = [2_u32, 4, 4, 1, 0];
    let size = size_of_val(&attributes);
    done(call(
        libc::SYS_bpf,
        &[0, attributes.as_ptr() as usize, size],
    ))
}

pub(crate) fn watch_performance_counters(_: &Path) -> io::Result<()> {
    // `struct perf_event_attr`: software, its size, the CPU clock.
    let mut attributes = [0_u32; 32];
    (attributes[0], attributes[1]) = (1, 128);
    let (own, any) = (0, usize::MAX);
    done(call(
        libc::SYS_perf_event_open,
        &[attributes.as_ptr() as usize, own, any, any, 0],
    ))
}

pub(crate) fn use_shared_memory_of_others(_: &Path) -> io::Result<()> {
    let size = 4096;
    let id = call(libc::SYS_shmget, &[0, size, 0o600])?;
    done(call(libc::SYS_shmctl, &[id, number(libc::IPC_RMID), 0]))
}

pub(crate) fn change_the_personality(_: &Path) -> io::Result<()> {
    let only_ask = 0xffff_ffff;
    done(call(libc::SYS_personality, &[only_ask]))
}

pub(crate) fn change_the_clock(_: &Path) -> io::Result<()> {
    // Asks for nothing to be changed, which takes no privileges.
    let nothing = [0_u64; 32];
    done(call(libc::SYS_adjtimex, &[nothing.as_ptr() as usize]))
}

pub(crate) fn reboot_the_machine(_: &Path) -> io::Result<()> {
    let (first, wrong) = (0xfee1_dead, 0);
    done(call(libc::SYS_reboot, &[first, wrong, 0, 0]))
}

pub(crate) fn make_a_pair_of_sockets(_: &Path) -> io::Result<()> {
    let (family, kind) = (number(libc::AF_UNIX), number(libc::SOCK_STREAM));
    let mut pair = [0_i32; 2];
    done(call(
        libc::SYS_socketpair,
        &[family, kind, 0, pair.as_mut_ptr() as usize],
    ))
}

pub(crate) fn make_a_packet_socket(_: &Path) -> io::Result<()> {
    socket(libc::AF_PACKET, libc::SOCK_RAW)
}

pub(crate) fn use_the_cryptography_of_the_kernel(_: &Path) -> io::Result<()> {
    socket(libc::AF_ALG, libc::SOCK_SEQPACKET)
}

pub(crate) fn stop_the_kernel_at_a_page(_: &Path) -> io::Result<()> {
    // Without `UFFD_USER_MODE_ONLY`.
    done(call(libc::SYS_userfaultfd, &[0]))
}

pub(crate) fn move_pages_of_files_into_pipes(at: &Path) -> io::Result<()> {
    let file = File::open(at.join("lent/own"))?;
    let (_reader, writer) = std::io::pipe()?;
    let (from, to) = (number(file.as_raw_fd()), number(writer.as_raw_fd()));
    done(call(libc::SYS_splice, &[from, 0, to, 0, 1, 0]))
}

pub(crate) fn use_queues_of_others(_: &Path) -> io::Result<()> {
    let id = call(libc::SYS_msgget, &[0, 0o600])?;
    done(call(libc::SYS_msgctl, &[id, number(libc::IPC_RMID), 0]))
}

pub(crate) fn use_semaphores_of_others(_: &Path) -> io::Result<()> {
    let id = call(libc::SYS_semget, &[0, 1, 0o600])?;
    done(call(libc::SYS_semctl, &[id, 0, number(libc::IPC_RMID), 0]))
}

pub(crate) fn bind_a_file_over_another(at: &Path) -> io::Result<()> {
    let (from, to) = (path(&at.join("secret"))?, path(&at.join("scratch/own"))?);
    call(
        libc::SYS_unshare,
        &[number(libc::CLONE_NEWNS | libc::CLONE_NEWUSER)],
    )?;
    let (from, to) = (from.as_ptr() as usize, to.as_ptr() as usize);
    let bind = 4096; // MS_BIND
    done(call(libc::SYS_mount, &[from, to, 0, bind, 0]))
}

pub(crate) fn mount_by_descriptors(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_open_tree, &[HERE, text(c"/") as usize, 0]))
}

pub(crate) fn exchange_the_root(_: &Path) -> io::Result<()> {
    let root = text(c"/") as usize;
    done(call(libc::SYS_pivot_root, &[root, root]))
}

pub(crate) fn change_the_name_of_the_machine(_: &Path) -> io::Result<()> {
    let mut names = [0_u8; 65 * 6];
    call(libc::SYS_uname, &[names.as_mut_ptr() as usize])?;
    let name = names[65..].iter().position(|byte| *byte == 0);
    let name = (names[65..].as_ptr() as usize, name.unwrap_or(0));
    done(call(libc::SYS_sethostname, &[name.0, name.1]))
}

pub(crate) fn set_the_clock(_: &Path) -> io::Result<()> {
    let (monotonic, never) = (1, [0_u64; 2]);
    done(call(
        libc::SYS_clock_settime,
        &[monotonic, never.as_ptr() as usize],
    ))
}

pub(crate) fn load_another_kernel(_: &Path) -> io::Result<()> {
    let wrong = usize::MAX;
    done(call(libc::SYS_kexec_load, &[0, 0, 0, wrong]))
}

pub(crate) fn load_a_module(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_init_module, &[0, 0, 0]))
}

pub(crate) fn read_the_log_of_the_kernel(_: &Path) -> io::Result<()> {
    let size_of_it = 10;
    done(call(libc::SYS_syslog, &[size_of_it, 0, 0]))
}

pub(crate) fn change_quotas(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_quotactl, &[0, 0, 0, 0]))
}

pub(crate) fn swap_to_a_file(at: &Path) -> io::Result<()> {
    let file = path(&at.join("scratch/own"))?;
    done(call(libc::SYS_swapon, &[file.as_ptr() as usize, 0]))
}

pub(crate) fn account_for_processes(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_acct, &[0]))
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn use_ports(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_iopl, &[0]))
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn use_single_ports(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_ioperm, &[0, 0, 0]))
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn change_segments(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_modify_ldt, &[0, 0, 0]))
}

#[cfg(not(target_arch = "x86_64"))]
fn of_another_processor() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn use_ports(_: &Path) -> io::Result<()> {
    of_another_processor()
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn use_single_ports(_: &Path) -> io::Result<()> {
    of_another_processor()
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn change_segments(_: &Path) -> io::Result<()> {
    of_another_processor()
}
