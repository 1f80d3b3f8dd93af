//! The 46 functions of `wasi_snapshot_preview1` and their core signatures.

use std::fmt;

use wasmparser::{FuncType, ValType};

/// The module name of WASI preview 1 imports.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";
/// The module name of preview 1's predecessor, which some old compilers still emit.
pub(crate) const PREDECESSOR: &str = "wasi_unstable";

/// Whether a function of preview 1 does without the program's memory.
pub(crate) fn without_memory(name: &str) -> bool {
    matches!(name, "proc_exit" | "proc_raise" | "sched_yield")
}

/// A function of preview 1: parameters as `i` (i32) and `I` (i64). All return an errno
/// (i32) but `proc_exit`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    name: &'static str,
    parameters: &'static str,
}

impl Function {
    /// The function called `name`, if preview 1 has one.
    pub(crate) fn named(name: &str) -> Option<Self> {
        FUNCTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(name, parameters)| Self { name, parameters })
    }

    fn returns_errno(self) -> bool {
        self.name != "proc_exit"
    }

    /// Whether `ty` is this function's signature.
    pub(crate) fn has_type(self, ty: &FuncType) -> bool {
        let results: &[ValType] = if self.returns_errno() {
            &[ValType::I32]
        } else {
            &[]
        };
        let parameters = self.parameters.bytes().map(|code| match code {
            b'I' => ValType::I64,
            _ => ValType::I32,
        });
        parameters.eq(ty.params().iter().copied()) && ty.results() == results
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .parameters
            .bytes()
            .map(|code| if code == b'I' { "i64" } else { "i32" })
            .collect();
        write!(
            f,
            "[{}] -> [{}]",
            names.join(" "),
            if self.returns_errno() { "i32" } else { "" }
        )
    }
}

const FUNCTIONS: [(&str, &str); 46] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];
