//! What is tried, and what must stop it.

mod call;
mod files;
mod kernel;
mod processes;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

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
    /// `EPERM`.
    Capabilities,
    /// This error, or death by a signal.
    Rlimits(i32),
}

impl Stopped {
    pub(crate) fn is(self, code: i32) -> bool {
        match self {
            Stopped::Landlock => [libc::EACCES, libc::EXDEV].contains(&code),
            Stopped::Seccomp => code == libc::ENOSYS,
            Stopped::Capabilities => code == libc::EPERM,
            Stopped::Rlimits(errno) => code == errno,
        }
    }

    pub(crate) fn by(self) -> &'static str {
        match self {
            Stopped::Landlock => "Landlock",
            Stopped::Seccomp => "seccomp",
            Stopped::Capabilities => "the capabilities that it has not got",
            Stopped::Rlimits(_) => "a limit of the process",
        }
    }
}

/// Looks around while it can: before the process is confined.
pub(crate) fn look_around() {
    call::parent();
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
    ($($module:ident::$name:ident: $stopped:expr $(, $absent:ident)?;)*) => {
        &[$(Attempt {
            name: stringify!($name),
            action: $module::$name,
            stopped: $stopped,
            may_be_absent: attempts!(@ $($absent)?),
        },)*]
    };
    (@ may_be_absent) => { true };
    (@) => { false };
}

use Stopped::{Capabilities, Landlock, Rlimits, Seccomp};

pub(crate) const ATTEMPTS: &[Attempt] = attempts! {
    files::read_a_file_outside: Landlock;
    files::read_through_dot_dot: Landlock;
    files::read_through_a_symbolic_link: Landlock;
    files::read_etc_passwd: Landlock;
    files::read_own_environment: Landlock;
    files::read_through_proc_root: Landlock;
    files::list_a_directory_outside: Landlock;
    files::list_the_root: Landlock;
    files::write_a_file_outside: Landlock;
    files::truncate_a_file_outside: Landlock;
    files::make_a_file_outside: Landlock;
    files::make_a_directory_outside: Landlock;
    files::delete_a_file_outside: Landlock;
    files::link_a_file_outside: Landlock;
    files::rename_out: Landlock;
    files::rename_in: Landlock;
    files::write_what_is_lent_for_reading: Landlock;
    files::delete_what_is_lent_for_reading: Landlock;
    files::open_a_device: Landlock;
    files::make_a_device: Seccomp, may_be_absent;
    files::change_modes: Seccomp;
    files::change_owners: Seccomp;
    files::truncate_by_path: Seccomp;
    files::set_times_outside: Seccomp;
    files::set_attributes_outside: Seccomp, may_be_absent;
    files::change_modes_outside: Seccomp;
    files::link_what_is_lent_into_scratch: Landlock;
    files::move_what_is_lent_into_scratch: Landlock;
    files::exchange_with_what_is_lent: Landlock;
    files::leave_by_dot_dot_of_a_descriptor: Landlock;
    files::open_again_for_writing: Landlock;
    files::open_by_handle: Seccomp, may_be_absent;
    files::watch_a_directory: Seccomp;
    files::watch_the_file_system: Seccomp, may_be_absent;
    files::make_a_fifo: Seccomp;
    files::read_memory_of_init: Landlock, may_be_absent;
    files::read_through_the_root_of_init: Landlock, may_be_absent;
    files::open_memory_of_the_parent: Landlock, may_be_absent;
    files::read_the_environment_of_the_parent: Landlock, may_be_absent;
    files::list_what_the_parent_has_open: Landlock, may_be_absent;
    files::write_own_memory_by_a_file: Landlock;
    files::leave_the_control_group: Landlock, may_be_absent;
    processes::run_a_program: Seccomp;
    processes::run_a_program_from_memory: Seccomp;
    processes::fork: Seccomp;
    processes::vfork_by_clone3: Seccomp;
    processes::trace_the_parent: Seccomp;
    processes::write_into_the_parent: Seccomp;
    processes::signal_the_parent: Seccomp;
    processes::signal_a_thread_of_the_parent: Seccomp;
    processes::open_the_parent: Seccomp;
    processes::become_another_user: Seccomp;
    processes::move_signals_of_a_descriptor: Seccomp;
    processes::type_into_the_terminal: Seccomp, may_be_absent;
    processes::change_limits_of_another_process: Seccomp, may_be_absent;
    processes::open_too_many_files: Rlimits(libc::EMFILE);
    processes::take_too_much_memory: Rlimits(libc::ENOMEM);
    processes::read_memory_of_the_parent: Seccomp, may_be_absent;
    processes::take_a_descriptor_of_the_parent: Seccomp, may_be_absent;
    processes::take_a_descriptor_of_any_process: Seccomp, may_be_absent;
    processes::compare_with_the_parent: Seccomp, may_be_absent;
    processes::change_the_priority_of_the_parent: Seccomp;
    processes::change_the_scheduling_of_the_parent: Seccomp;
    processes::move_the_parent_to_other_processors: Seccomp;
    processes::move_the_memory_of_the_parent: Seccomp, may_be_absent;
    processes::signal_by_tkill: Seccomp;
    processes::signal_with_a_value: Seccomp, may_be_absent;
    processes::choose_the_signal_of_a_descriptor: Seccomp;
    processes::leave_the_process_group: Seccomp, may_be_absent;
    processes::outlive_the_supervisor: Seccomp;
    processes::change_who_may_look: Seccomp;
    processes::keep_capabilities: Seccomp, may_be_absent;
    processes::take_capabilities_along: Seccomp, may_be_absent;
    processes::have_new_privileges_again: Seccomp, may_be_absent;
    processes::change_the_map_of_its_memory: Seccomp, may_be_absent;
    processes::let_others_trace_it: Seccomp, may_be_absent;
    processes::replace_the_filter: Seccomp;
    processes::restrict_its_files_otherwise: Seccomp, may_be_absent;
    processes::set_capabilities: Seccomp;
    processes::raise_a_limit: Capabilities, may_be_absent;
    kernel::make_a_tcp_socket: Seccomp;
    kernel::make_a_unix_socket: Seccomp;
    kernel::make_a_netlink_socket: Seccomp;
    kernel::mount_a_file_system: Seccomp, may_be_absent;
    kernel::change_the_root: Seccomp, may_be_absent;
    kernel::enter_a_user_namespace: Seccomp, may_be_absent;
    kernel::join_a_namespace: Seccomp, may_be_absent;
    kernel::use_the_keyring: Seccomp, may_be_absent;
    kernel::use_io_uring: Seccomp, may_be_absent;
    kernel::load_a_bpf_program: Seccomp, may_be_absent;
    kernel::watch_performance_counters: Seccomp, may_be_absent;
    kernel::use_shared_memory_of_others: Seccomp;
    kernel::change_the_personality: Seccomp;
    kernel::change_the_clock: Seccomp, may_be_absent;
    kernel::reboot_the_machine: Seccomp, may_be_absent;
    kernel::make_a_pair_of_sockets: Seccomp, may_be_absent;
    kernel::make_a_packet_socket: Seccomp, may_be_absent;
    kernel::use_the_cryptography_of_the_kernel: Seccomp, may_be_absent;
    kernel::stop_the_kernel_at_a_page: Seccomp, may_be_absent;
    kernel::move_pages_of_files_into_pipes: Seccomp, may_be_absent;
    kernel::use_queues_of_others: Seccomp, may_be_absent;
    kernel::use_semaphores_of_others: Seccomp, may_be_absent;
    kernel::bind_a_file_over_another: Seccomp, may_be_absent;
    kernel::mount_by_descriptors: Seccomp, may_be_absent;
    kernel::exchange_the_root: Seccomp, may_be_absent;
    kernel::change_the_name_of_the_machine: Seccomp, may_be_absent;
    kernel::set_the_clock: Seccomp, may_be_absent;
    kernel::load_another_kernel: Seccomp, may_be_absent;
    kernel::load_a_module: Seccomp, may_be_absent;
    kernel::read_the_log_of_the_kernel: Seccomp, may_be_absent;
    kernel::change_quotas: Seccomp, may_be_absent;
    kernel::swap_to_a_file: Seccomp, may_be_absent;
    kernel::account_for_processes: Seccomp, may_be_absent;
    kernel::use_ports: Seccomp, may_be_absent;
    kernel::use_single_ports: Seccomp, may_be_absent;
    kernel::change_segments: Seccomp, may_be_absent;
};

/// What must go on working.
pub(crate) const WORKS: &[Attempt] = attempts! {
    files::read_what_is_lent: Landlock;
    files::write_to_scratch: Landlock;
    files::rename_within_scratch: Landlock;
    processes::start_a_thread: Seccomp;
    processes::make_code_at_run_time: Seccomp;
};

/// What nothing stops: `docs/isolation.md` says so.
pub(crate) const REMAINS: &[Attempt] = attempts! {
    files::ask_whether_a_file_is_there: Landlock;
    files::read_where_a_link_leads: Landlock;
};
