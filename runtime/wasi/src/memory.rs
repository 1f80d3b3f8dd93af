//! Checked access to the guest's linear memory. A range that is not wholly inside it is
//! `fault`; nothing here can panic or wrap.

use std::ops::Range;

use crate::Errno;

/// The most buffers that one scattered read or write takes, as POSIX's `IOV_MAX`.
const MAX_BUFFERS: u32 = 1024;

/// A guest buffer of a scattered read or write: known to lie in memory.
pub(crate) type Buffer = Range<usize>;

/// Reads and writes of guest memory by guest address.
pub(crate) trait GuestMemory {
    /// The range of `len` bytes at `address`.
    fn range(&self, address: u32, len: u32) -> Result<Range<usize>, Errno>;
    /// The bytes there.
    fn bytes(&self, address: u32, len: u32) -> Result<&[u8], Errno>;
    /// The bytes there, to be written.
    fn bytes_mut(&mut self, address: u32, len: u32) -> Result<&mut [u8], Errno>;
    /// Writes `bytes` at `address`.
    fn put(&mut self, address: u32, bytes: &[u8]) -> Result<(), Errno>;

    /// Writes a `u32` in little-endian order.
    fn put_u32(&mut self, address: u32, value: u32) -> Result<(), Errno> {
        self.put(address, &value.to_le_bytes())
    }

    /// Writes a `u64` in little-endian order.
    fn put_u64(&mut self, address: u32, value: u64) -> Result<(), Errno> {
        self.put(address, &value.to_le_bytes())
    }

    /// The `count` buffers of an `iovec` or `ciovec` array, each checked.
    fn buffers(&self, address: u32, count: u32) -> Result<Vec<Buffer>, Errno> {
        if count > MAX_BUFFERS {
            return Err(Errno::Inval);
        }
        let (vectors, _) = self.bytes(address, count * 8)?.as_chunks::<8>();
        vectors
            .iter()
            .map(|&[a, b, c, d, e, f, g, h]| {
                self.range(
                    u32::from_le_bytes([a, b, c, d]),
                    u32::from_le_bytes([e, f, g, h]),
                )
            })
            .collect()
    }
}

impl GuestMemory for [u8] {
    fn range(&self, address: u32, len: u32) -> Result<Range<usize>, Errno> {
        let start = usize::try_from(address).map_err(|_| Errno::Fault)?;
        let len = usize::try_from(len).map_err(|_| Errno::Fault)?;
        let end = start.checked_add(len).ok_or(Errno::Fault)?;
        if end > self.len() {
            return Err(Errno::Fault);
        }
        Ok(start..end)
    }

    fn bytes(&self, address: u32, len: u32) -> Result<&[u8], Errno> {
        let range = self.range(address, len)?;
        self.get(range).ok_or(Errno::Fault)
    }

    fn bytes_mut(&mut self, address: u32, len: u32) -> Result<&mut [u8], Errno> {
        let range = self.range(address, len)?;
        self.get_mut(range).ok_or(Errno::Fault)
    }

    fn put(&mut self, address: u32, bytes: &[u8]) -> Result<(), Errno> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.bytes_mut(address, len)?.copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_inside() {
        let memory = [0; 16];
        assert_eq!(memory.range(0, 16), Ok(0..16));
        assert_eq!(memory.range(16, 0), Ok(16..16));
        assert_eq!(memory.range(1, 16), Err(Errno::Fault));
        assert_eq!(memory.range(17, 0), Err(Errno::Fault));
        assert_eq!(memory.range(u32::MAX, u32::MAX), Err(Errno::Fault));
    }

    #[test]
    fn buffers_are_limited_in_number_and_checked() {
        let mut memory = [0; 16];
        memory[8..].copy_from_slice(&[4, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(memory.buffers(8, 1).unwrap().first(), Some(&(4..9)));
        assert_eq!(memory.buffers(0, MAX_BUFFERS + 1), Err(Errno::Inval));
        memory[12] = 13;
        assert_eq!(memory.buffers(8, 1), Err(Errno::Fault));
        assert_eq!(memory.buffers(12, 1), Err(Errno::Fault));
    }
}
