//! Arguments, environment, exit.

use crate::memory::GuestMemory;
use crate::{Errno, Fault, Wasi};

/// The process.
impl Wasi {
    /// Writes the arguments, each ended by a NUL, and pointers to them.
    ///
    /// # Errors
    /// `fault` if they do not fit in memory.
    pub fn args_get(&mut self, memory: &mut [u8], argv: u32, buffer: u32) -> Result<(), Fault> {
        strings_get(memory, &self.args, argv, buffer)
    }

    /// How many arguments there are, and how many bytes they take.
    ///
    /// # Errors
    /// `fault` if a result is not in memory.
    pub fn args_sizes_get(
        &mut self,
        memory: &mut [u8],
        count: u32,
        size: u32,
    ) -> Result<(), Fault> {
        strings_sizes_get(memory, &self.args, count, size)
    }

    /// Writes the environment as `NAME=value`, each ended by a NUL, and pointers to them.
    ///
    /// # Errors
    /// `fault` if they do not fit in memory.
    pub fn environ_get(
        &mut self,
        memory: &mut [u8],
        environ: u32,
        buffer: u32,
    ) -> Result<(), Fault> {
        strings_get(memory, &self.variables(), environ, buffer)
    }

    /// How many variables there are, and how many bytes they take.
    ///
    /// # Errors
    /// `fault` if a result is not in memory.
    pub fn environ_sizes_get(
        &mut self,
        memory: &mut [u8],
        count: u32,
        size: u32,
    ) -> Result<(), Fault> {
        strings_sizes_get(memory, &self.variables(), count, size)
    }

    /// Ends the job.
    ///
    /// # Errors
    /// Always [`Fault::Exit`].
    pub fn proc_exit(&mut self, _memory: &mut [u8], code: u32) -> Result<(), Fault> {
        Err(Fault::Exit(code))
    }

    /// Refused: a job has no signals.
    ///
    /// # Errors
    /// Always `notsup`.
    pub fn proc_raise(&mut self, _memory: &mut [u8], _signal: u32) -> Result<(), Fault> {
        Err(Errno::Notsup.into())
    }

    /// Lets other threads of the host run.
    ///
    /// # Errors
    /// None.
    pub fn sched_yield(&mut self, _memory: &mut [u8]) -> Result<(), Fault> {
        std::thread::yield_now();
        Ok(())
    }

    fn variables(&self) -> Vec<Vec<u8>> {
        self.env
            .iter()
            .map(|(name, value)| [name.as_slice(), b"=", value.as_slice()].concat())
            .collect()
    }
}

fn strings_get(
    memory: &mut [u8],
    strings: &[Vec<u8>],
    mut pointer: u32,
    mut address: u32,
) -> Result<(), Fault> {
    let (count, size) = sizes(strings)?;
    memory.range(pointer, count.checked_mul(4).ok_or(Errno::Fault)?)?;
    memory.range(address, size)?;
    for string in strings {
        memory.put_u32(pointer, address)?;
        memory.put(address, string)?;
        let len = u32::try_from(string.len()).map_err(|_| Errno::Fault)?;
        let end = address.checked_add(len).ok_or(Errno::Fault)?;
        memory.put(end, &[0])?;
        address = end.saturating_add(1);
        pointer = pointer.saturating_add(4);
    }
    Ok(())
}

fn strings_sizes_get(
    memory: &mut [u8],
    strings: &[Vec<u8>],
    count: u32,
    size: u32,
) -> Result<(), Fault> {
    let sizes = sizes(strings)?;
    memory.range(size, 4)?;
    memory.put_u32(count, sizes.0)?;
    Ok(memory.put_u32(size, sizes.1)?)
}

/// Their number, and their bytes with the NULs.
fn sizes(strings: &[Vec<u8>]) -> Result<(u32, u32), Errno> {
    let size: usize = strings.iter().map(|string| string.len() + 1).sum();
    Ok((
        u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?,
        u32::try_from(size).map_err(|_| Errno::Overflow)?,
    ))
}
