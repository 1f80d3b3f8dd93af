//! The memories of programs: wasmtime asks for them here, so that they can be frozen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType, Store};

/// A memory that wasmtime uses, too. Its length changes only when wasmtime grows it.
#[derive(Clone)]
pub(crate) struct Linear(Arc<Mutex<wherry_memory::Memory>>);

impl Linear {
    /// While it is locked, the program must not run.
    pub(crate) fn lock(&self) -> MutexGuard<'_, wherry_memory::Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    unsafe_code,
    reason = "wasmtime relies on what the memory says about itself"
)]
// SAFETY: the memory is accessible up to its size, and its base moves only when it grows beyond
// its capacity.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.lock().len()
    }

    fn byte_capacity(&self) -> usize {
        self.lock().capacity()
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        Ok(self.lock().grow_to(new_size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.lock().as_ptr()
    }
}

/// Makes the memories of one engine, and finds them again.
#[derive(Clone, Default)]
pub(crate) struct Memories(Arc<Mutex<Vec<Weak<Mutex<wherry_memory::Memory>>>>>);

impl Memories {
    /// The memory behind one of wasmtime's.
    pub(crate) fn of<T: 'static>(
        &self,
        store: &Store<T>,
        memory: wasmtime::Memory,
    ) -> Option<Linear> {
        let base = memory.data_ptr(store);
        let all = self.all();
        let mut alive = all.iter().filter_map(Weak::upgrade).map(Linear);
        alive.find(|linear| linear.lock().as_ptr() == base)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Mutex<wherry_memory::Memory>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(unsafe_code, reason = "wasmtime relies on reservations and guards")]
// SAFETY: a new memory is zero, can grow to what is reserved without moving, and has at least the
// guard after that.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let reserved = reserved_size_in_bytes.unwrap_or(0);
        let memory = wherry_memory::Memory::new(minimum, reserved, guard_size_in_bytes);
        let memory = Arc::new(Mutex::new(memory.map_err(|error| error.to_string())?));
        let mut all = self.all();
        all.retain(|memory| memory.strong_count() > 0);
        all.push(Arc::downgrade(&memory));
        Ok(Box::new(Linear(memory)))
    }
}
