//! Index spaces of the instrumented module.
//!
//! Original definitions keep their indices, but for memories: the imported flag takes index
//! 0. Whatever named an imported function names its trampoline instead, so that a host call
//! is a safepoint of an ordinary function.

use std::collections::HashMap;

use wasm_encoder::{
    TypeSection, ValType,
    reencode::{Error, Reencode},
};

use crate::module::{Module, index};

/// Memory of the flag.
pub(crate) const FLAG_MEMORY: u32 = 0;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Indices {
    imported_functions: u32,
    functions: u32,
    /// The state memory.
    pub(crate) frames: u32,
    /// Global: the state.
    pub(crate) state: u32,
    /// Global: end of the stored frames.
    pub(crate) stack_pointer: u32,
    /// Global: the countdown.
    pub(crate) countdown: u32,
    /// Global: flag of the first droppable segment.
    pub(crate) segment_flags: u32,
    /// Table: references held by frames.
    pub(crate) references: u32,
    /// Table: functions that a reference can name.
    pub(crate) referenced: u32,
    /// Table: one function per function that a dynamic call can resume.
    pub(crate) resumers: u32,
}

impl Indices {
    pub(crate) fn new(module: &Module<'_>) -> Self {
        let tables = index(module.tables.len());
        Self {
            imported_functions: module.imported_functions,
            functions: module.function_count(),
            frames: module.memories + 1,
            state: module.globals,
            stack_pointer: module.globals + 1,
            countdown: module.globals + 2,
            segment_flags: module.globals + 3,
            references: tables,
            referenced: tables + 1,
            resumers: tables + 2,
        }
    }

    /// What stands for an original function.
    pub(crate) fn function(&self, original: u32) -> u32 {
        if original < self.imported_functions {
            self.functions + original
        } else {
            original
        }
    }

    /// The first function after the originals and the trampolines.
    pub(crate) fn first_added_function(&self) -> u32 {
        self.functions + self.imported_functions
    }
}

impl Reencode for &Indices {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.function(function))
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Error<Self::Error>> {
        Ok(memory + 1)
    }
}

/// Function types that the pass adds after the original ones.
pub(crate) struct Types {
    first: u32,
    added: Vec<(Vec<ValType>, Vec<ValType>)>,
    known: HashMap<(Vec<ValType>, Vec<ValType>), u32>,
}

impl Types {
    pub(crate) fn new(module: &Module<'_>) -> Self {
        let first = index(module.types.len());
        Self {
            first,
            added: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// The index of a function type, added if it is new.
    pub(crate) fn function(&mut self, params: Vec<ValType>, results: Vec<ValType>) -> u32 {
        let next = self.first + index(self.added.len());
        let key = (params, results);
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        self.added.push(key.clone());
        self.known.insert(key, next);
        next
    }

    pub(crate) fn append_to(&self, section: &mut TypeSection) {
        for (params, results) in &self.added {
            section
                .ty()
                .function(params.iter().copied(), results.iter().copied());
        }
    }
}
