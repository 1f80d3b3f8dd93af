//! Files that a process was not granted, and what else can be done with those that it was.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

use super::call::{HERE, call, done, number, parent, path, text};

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

pub(crate) fn read_a_file_outside(at: &Path) -> io::Result<()> {
    fs::read(at.join("secret")).map(drop)
}

pub(crate) fn read_through_dot_dot(at: &Path) -> io::Result<()> {
    fs::read(at.join("scratch/../secret")).map(drop)
}

pub(crate) fn read_through_a_symbolic_link(at: &Path) -> io::Result<()> {
    fs::read(at.join("scratch/link")).map(drop)
}

pub(crate) fn read_etc_passwd(_: &Path) -> io::Result<()> {
    fs::read("/etc/passwd").map(drop)
}

pub(crate) fn read_own_environment(_: &Path) -> io::Result<()> {
    fs::read("/proc/self/environ").map(drop)
}

pub(crate) fn read_through_proc_root(_: &Path) -> io::Result<()> {
    fs::read("/proc/self/root/etc/passwd").map(drop)
}

pub(crate) fn list_a_directory_outside(at: &Path) -> io::Result<()> {
    fs::read_dir(at).map(drop)
}

pub(crate) fn list_the_root(_: &Path) -> io::Result<()> {
    fs::read_dir("/").map(drop)
}

pub(crate) fn write_a_file_outside(at: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(at.join("secret"))
        .map(drop)
}

pub(crate) fn truncate_a_file_outside(at: &Path) -> io::Result<()> {
    File::create(at.join("secret")).map(drop)
}

pub(crate) fn make_a_file_outside(at: &Path) -> io::Result<()> {
    File::create(at.join("new")).map(drop)
}

pub(crate) fn make_a_directory_outside(at: &Path) -> io::Result<()> {
    make_directory(&at.join("new"))
}

pub(crate) fn delete_a_file_outside(at: &Path) -> io::Result<()> {
    remove(&at.join("secret"))
}

pub(crate) fn link_a_file_outside(at: &Path) -> io::Result<()> {
    fs::hard_link(at.join("secret"), at.join("scratch/secret"))
}

pub(crate) fn rename_out(at: &Path) -> io::Result<()> {
    rename(&at.join("scratch/own"), &at.join("own"))
}

pub(crate) fn rename_in(at: &Path) -> io::Result<()> {
    rename(&at.join("secret"), &at.join("scratch/secret"))
}

pub(crate) fn write_what_is_lent_for_reading(at: &Path) -> io::Result<()> {
    OpenOptions::new()
        .append(true)
        .open(at.join("lent/own"))
        .map(drop)
}

pub(crate) fn delete_what_is_lent_for_reading(at: &Path) -> io::Result<()> {
    remove(&at.join("lent/own"))
}

pub(crate) fn open_a_device(_: &Path) -> io::Result<()> {
    File::open("/dev/zero").map(drop)
}

pub(crate) fn make_a_device(at: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(at.join("scratch/device").to_string_lossy().as_bytes())?;
    let mode = (libc::S_IFCHR | 0o600) as usize;
    let zero = 0x105;
    let here = libc::AT_FDCWD as usize;
    done(call(
        libc::SYS_mknodat,
        &[here, path.as_ptr() as usize, mode, zero],
    ))
}

pub(crate) fn change_modes(at: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(at.join("scratch/own"), fs::Permissions::from_mode(0o4755))
}

pub(crate) fn change_owners(at: &Path) -> io::Result<()> {
    std::os::unix::fs::chown(at.join("scratch/own"), None, None)
}

pub(crate) fn read_what_is_lent(at: &Path) -> io::Result<()> {
    fs::read(at.join("lent/own"))?;
    fs::read_dir(at.join("lent")).map(drop)
}

pub(crate) fn write_to_scratch(at: &Path) -> io::Result<()> {
    fs::write(at.join("scratch/new"), "new")?;
    make_directory(&at.join("scratch/directory"))?;
    rustix::fs::symlinkat("new", CWD, at.join("scratch/directory/link"))?;
    remove(&at.join("scratch/own"))
}

pub(crate) fn rename_within_scratch(at: &Path) -> io::Result<()> {
    make_directory(&at.join("scratch/directory"))?;
    rename(&at.join("scratch/own"), &at.join("scratch/directory/own"))
}

pub(crate) fn truncate_by_path(at: &Path) -> io::Result<()> {
    let secret = path(&at.join("secret"))?;
    done(call(libc::SYS_truncate, &[secret.as_ptr() as usize, 6]))
}

pub(crate) fn set_times_outside(at: &Path) -> io::Result<()> {
    let secret = path(&at.join("secret"))?;
    done(call(
        libc::SYS_utimensat,
        &[HERE, secret.as_ptr() as usize, 0, 0],
    ))
}

pub(crate) fn set_attributes_outside(at: &Path) -> io::Result<()> {
    let secret = path(&at.join("secret"))?;
    let (name, value) = (text(c"user.a") as usize, text(c"b") as usize);
    done(call(
        libc::SYS_setxattr,
        &[secret.as_ptr() as usize, name, value, 1, 0],
    ))
}

pub(crate) fn change_modes_outside(at: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(at.join("secret"), fs::Permissions::from_mode(0o644))
}

pub(crate) fn link_what_is_lent_into_scratch(at: &Path) -> io::Result<()> {
    fs::hard_link(at.join("lent/own"), at.join("scratch/lent"))
}

pub(crate) fn move_what_is_lent_into_scratch(at: &Path) -> io::Result<()> {
    rename(&at.join("lent/own"), &at.join("scratch/lent"))
}

pub(crate) fn exchange_with_what_is_lent(at: &Path) -> io::Result<()> {
    let (lent, own) = (at.join("lent/own"), at.join("scratch/own"));
    let exchange = RenameFlags::EXCHANGE;
    Ok(rustix::fs::renameat_with(CWD, lent, CWD, own, exchange)?)
}

pub(crate) fn leave_by_dot_dot_of_a_descriptor(at: &Path) -> io::Result<()> {
    let scratch = File::open(at.join("scratch"))?;
    let flags = OFlags::RDONLY;
    rustix::fs::openat(&scratch, "../secret", flags, Mode::empty())?;
    Ok(())
}

pub(crate) fn open_again_for_writing(at: &Path) -> io::Result<()> {
    let lent = File::open(at.join("lent/own"))?;
    let again = format!("/proc/self/fd/{}", lent.as_raw_fd());
    OpenOptions::new().write(true).open(again).map(drop)
}

pub(crate) fn open_by_handle(at: &Path) -> io::Result<()> {
    let secret = path(&at.join("secret"))?;
    let (mut handle, mut mount) = ([0_u32; 34], 0_i32);
    handle[0] = 128;
    let handle = handle.as_mut_ptr() as usize;
    let mount = &raw mut mount as usize;
    call(
        libc::SYS_name_to_handle_at,
        &[HERE, secret.as_ptr() as usize, handle, mount, 0],
    )?;
    let root = File::open("/")?;
    let root = number(root.as_raw_fd());
    done(call(libc::SYS_open_by_handle_at, &[root, handle, 0]))
}

pub(crate) fn watch_a_directory(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_inotify_init1, &[0]))
}

pub(crate) fn watch_the_file_system(_: &Path) -> io::Result<()> {
    done(call(libc::SYS_fanotify_init, &[0, 0]))
}

pub(crate) fn make_a_fifo(at: &Path) -> io::Result<()> {
    let fifo = path(&at.join("scratch/fifo"))?;
    let mode = (libc::S_IFIFO | 0o600) as usize;
    done(call(
        libc::SYS_mknodat,
        &[HERE, fifo.as_ptr() as usize, mode, 0],
    ))
}

pub(crate) fn read_memory_of_init(_: &Path) -> io::Result<()> {
    File::open("/proc/1/mem").map(drop)
}

pub(crate) fn read_through_the_root_of_init(_: &Path) -> io::Result<()> {
    fs::read("/proc/1/root/etc/passwd").map(drop)
}

pub(crate) fn open_memory_of_the_parent(_: &Path) -> io::Result<()> {
    File::open(format!("/proc/{}/mem", parent())).map(drop)
}

pub(crate) fn read_the_environment_of_the_parent(_: &Path) -> io::Result<()> {
    fs::read(format!("/proc/{}/environ", parent())).map(drop)
}

pub(crate) fn list_what_the_parent_has_open(_: &Path) -> io::Result<()> {
    fs::read_dir(format!("/proc/{}/fd", parent())).map(drop)
}

pub(crate) fn write_own_memory_by_a_file(_: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open("/proc/self/mem")
        .map(drop)
}

pub(crate) fn leave_the_control_group(_: &Path) -> io::Result<()> {
    let hierarchies = ["memory/", "unified/", ""];
    let names = hierarchies.map(|one| format!("/sys/fs/cgroup/{one}cgroup.procs"));
    let open = |name: &String| OpenOptions::new().write(true).open(name);
    let opened = names.iter().map(open).find(|opened| {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        !opened.as_ref().is_err_and(missing)
    });
    opened
        .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
        .map(drop)
}

// What remains: docs/isolation.md says so.

pub(crate) fn ask_whether_a_file_is_there(at: &Path) -> io::Result<()> {
    fs::metadata(at.join("secret")).map(drop)
}

pub(crate) fn read_where_a_link_leads(_: &Path) -> io::Result<()> {
    fs::read_link("/proc/self/exe").map(drop)
}
