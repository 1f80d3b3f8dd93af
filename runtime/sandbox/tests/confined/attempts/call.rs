//! System calls, as an attacker makes them.

use std::io;
use std::sync::OnceLock;

/// A system call, with up to six arguments.
pub(crate) fn call(number: libc::c_long, arguments: &[usize]) -> io::Result<usize> {
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

pub(crate) fn done(result: io::Result<usize>) -> io::Result<()> {
    result.map(drop)
}

pub(crate) const fn text(text: &'static std::ffi::CStr) -> *const libc::c_char {
    text.as_ptr()
}

pub(crate) fn parent() -> usize {
    // Asked for once: later it is a system call that is not on the list.
    static PARENT: OnceLock<u32> = OnceLock::new();
    *PARENT.get_or_init(std::os::unix::process::parent_id) as usize
}

pub(crate) fn number(value: i32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A path for a system call.
pub(crate) fn path(path: &std::path::Path) -> io::Result<std::ffi::CString> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(std::ffi::CString::new(path.as_os_str().as_bytes())?)
}

/// The directory that paths are relative to.
pub(crate) const HERE: usize = libc::AT_FDCWD as usize;
