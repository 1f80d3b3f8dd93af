//! Asynchronous write protection by userfaultfd: the kernel lets the first write to a page
//! pass, and notes it. Nobody waits for a fault, and writes of the kernel itself pass as well.

use std::io;
use std::os::fd::OwnedFd;

use rustix::ioctl::{Updater, ioctl, opcode};
use rustix::mm::{UserfaultfdFlags, userfaultfd};

/// A userfaultfd of this process.
pub(crate) struct WriteProtect(OwnedFd);

/// `UFFD_USER_MODE_ONLY`: needs no privileges.
const USER_MODE_ONLY: u32 = 1;
const API: u64 = 0xaa;
/// Pages that are not there yet can be protected. The kernel does not track files without.
const FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
const FEATURE_WP_ASYNC: u64 = 1 << 15;
const REGISTER_MODE_WP: u64 = 1 << 1;

impl WriteProtect {
    pub(crate) fn new() -> io::Result<Self> {
        let user_mode_only = UserfaultfdFlags::from_bits_retain(USER_MODE_ONLY);
        let flags = UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK | user_mode_only;
        let mut handshake = Handshake {
            api: API,
            features: FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED,
            ioctls: 0,
        };
        #[expect(unsafe_code, reason = "it can do things with this process's memory")]
        // SAFETY: it is only used for `watch`.
        let file = unsafe { userfaultfd(flags) }?;
        #[expect(unsafe_code, reason = "a system call that rustix does not have")]
        // SAFETY: the opcode is `UFFDIO_API`, which takes a `struct uffdio_api`.
        unsafe {
            const OPCODE: u32 = opcode::read_write::<Handshake>(0xaa, 0x3f);
            ioctl(&file, Updater::<OPCODE, _>::new(&mut handshake))?;
        }
        Ok(WriteProtect(file))
    }

    /// Notes writes to pages that are protected at these addresses from now on. Mappings that
    /// are watched already stay as they are.
    pub(crate) fn watch(&self, start: usize, length: usize) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let mut register = Register {
            start: start as u64,
            length: length as u64,
            mode: REGISTER_MODE_WP,
            ioctls: 0,
        };
        #[expect(unsafe_code, reason = "a system call that rustix does not have")]
        // SAFETY: the opcode is `UFFDIO_REGISTER`, which takes a `struct uffdio_register`. No
        // access to the memory changes its result: asynchronous faults wait for nobody.
        unsafe {
            const OPCODE: u32 = opcode::read_write::<Register>(0xaa, 0x00);
            ioctl(&self.0, Updater::<OPCODE, _>::new(&mut register))?;
        }
        Ok(())
    }
}

/// `struct uffdio_api`.
#[repr(C)]
struct Handshake {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    start: u64,
    length: u64,
    mode: u64,
    ioctls: u64,
}
