//! Sockets: a job is given none, so each function says what its descriptor is not.

use crate::{Errno, Fault, Wasi};

/// Sockets.
impl Wasi {
    /// Refused.
    ///
    /// # Errors
    /// `notsock` for an open descriptor, `badf` otherwise.
    pub fn sock_accept(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        _flags: u32,
        _result: u32,
    ) -> Result<(), Fault> {
        self.not_a_socket(fd)
    }

    /// Refused.
    ///
    /// # Errors
    /// `notsock` for an open descriptor, `badf` otherwise.
    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    pub fn sock_recv(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        _iovs: u32,
        _count: u32,
        _flags: u32,
        _result: u32,
        _result_flags: u32,
    ) -> Result<(), Fault> {
        self.not_a_socket(fd)
    }

    /// Refused.
    ///
    /// # Errors
    /// `notsock` for an open descriptor, `badf` otherwise.
    pub fn sock_send(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        _iovs: u32,
        _count: u32,
        _flags: u32,
        _result: u32,
    ) -> Result<(), Fault> {
        self.not_a_socket(fd)
    }

    /// Refused.
    ///
    /// # Errors
    /// `notsock` for an open descriptor, `badf` otherwise.
    pub fn sock_shutdown(&mut self, _memory: &mut [u8], fd: u32, _how: u32) -> Result<(), Fault> {
        self.not_a_socket(fd)
    }

    fn not_a_socket(&self, fd: u32) -> Result<(), Fault> {
        self.table.get(fd)?;
        Err(Errno::Notsock.into())
    }
}
