//! The list of the 46 functions of `wasi_snapshot_preview1`, for whoever links them.

/// Hands the list of all functions to a macro, so that an engine registers them in one
/// invocation. The callback receives, for each function,
///
/// ```text
/// fn fd_seek(fd: u32, offset: i64, whence: u32, result: u32) -> errno;
/// ```
///
/// in the order of the specification's alphabet. `u32` is the wasm type `i32`; `u64` and
/// `i64` are the wasm type `i64`. `-> errno` stands for one `i32` result, `-> never` (only
/// `proc_exit`) for no result. Each is a method of [`Wasi`](crate::Wasi) that takes the
/// guest's memory before these arguments.
///
/// ```
/// macro_rules! names {
///     ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ident;)*) => {
///         [$(stringify!($name)),*]
///     };
/// }
/// assert_eq!(wherry_wasi::for_each_function!(names).len(), 46);
/// ```
#[macro_export]
macro_rules! for_each_function {
    ($callback:ident) => {
        $callback! {
            fn args_get(argv: u32, buffer: u32) -> errno;
            fn args_sizes_get(count: u32, size: u32) -> errno;
            fn clock_res_get(id: u32, result: u32) -> errno;
            fn clock_time_get(id: u32, precision: u64, result: u32) -> errno;
            fn environ_get(environ: u32, buffer: u32) -> errno;
            fn environ_sizes_get(count: u32, size: u32) -> errno;
            fn fd_advise(fd: u32, offset: u64, len: u64, advice: u32) -> errno;
            fn fd_allocate(fd: u32, offset: u64, len: u64) -> errno;
            fn fd_close(fd: u32) -> errno;
            fn fd_datasync(fd: u32) -> errno;
            fn fd_fdstat_get(fd: u32, result: u32) -> errno;
            fn fd_fdstat_set_flags(fd: u32, flags: u32) -> errno;
            fn fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) -> errno;
            fn fd_filestat_get(fd: u32, result: u32) -> errno;
            fn fd_filestat_set_size(fd: u32, size: u64) -> errno;
            fn fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32) -> errno;
            fn fd_pread(fd: u32, iovs: u32, count: u32, offset: u64, result: u32) -> errno;
            fn fd_prestat_dir_name(fd: u32, path: u32, len: u32) -> errno;
            fn fd_prestat_get(fd: u32, result: u32) -> errno;
            fn fd_pwrite(fd: u32, iovs: u32, count: u32, offset: u64, result: u32) -> errno;
            fn fd_read(fd: u32, iovs: u32, count: u32, result: u32) -> errno;
            fn fd_readdir(fd: u32, buffer: u32, len: u32, cookie: u64, result: u32) -> errno;
            fn fd_renumber(from: u32, to: u32) -> errno;
            fn fd_seek(fd: u32, offset: i64, whence: u32, result: u32) -> errno;
            fn fd_sync(fd: u32) -> errno;
            fn fd_tell(fd: u32, result: u32) -> errno;
            fn fd_write(fd: u32, iovs: u32, count: u32, result: u32) -> errno;
            fn path_create_directory(fd: u32, path: u32, len: u32) -> errno;
            fn path_filestat_get(fd: u32, lookup: u32, path: u32, len: u32, result: u32) -> errno;
            fn path_filestat_set_times(
                fd: u32,
                lookup: u32,
                path: u32,
                len: u32,
                atim: u64,
                mtim: u64,
                flags: u32,
            ) -> errno;
            fn path_link(
                old_fd: u32,
                lookup: u32,
                old_path: u32,
                old_len: u32,
                new_fd: u32,
                new_path: u32,
                new_len: u32,
            ) -> errno;
            fn path_open(
                fd: u32,
                lookup: u32,
                path: u32,
                len: u32,
                oflags: u32,
                base: u64,
                inheriting: u64,
                fdflags: u32,
                result: u32,
            ) -> errno;
            fn path_readlink(
                fd: u32,
                path: u32,
                len: u32,
                buffer: u32,
                buffer_len: u32,
                result: u32,
            ) -> errno;
            fn path_remove_directory(fd: u32, path: u32, len: u32) -> errno;
            fn path_rename(
                old_fd: u32,
                old_path: u32,
                old_len: u32,
                new_fd: u32,
                new_path: u32,
                new_len: u32,
            ) -> errno;
            fn path_symlink(target: u32, target_len: u32, fd: u32, path: u32, len: u32) -> errno;
            fn path_unlink_file(fd: u32, path: u32, len: u32) -> errno;
            fn poll_oneoff(subscriptions: u32, events: u32, count: u32, result: u32) -> errno;
            fn proc_exit(code: u32) -> never;
            fn proc_raise(signal: u32) -> errno;
            fn random_get(buffer: u32, len: u32) -> errno;
            fn sched_yield() -> errno;
            fn sock_accept(fd: u32, flags: u32, result: u32) -> errno;
            fn sock_recv(
                fd: u32,
                iovs: u32,
                count: u32,
                flags: u32,
                result: u32,
                result_flags: u32,
            ) -> errno;
            fn sock_send(fd: u32, iovs: u32, count: u32, flags: u32, result: u32) -> errno;
            fn sock_shutdown(fd: u32, how: u32) -> errno;
        }
    };
}
