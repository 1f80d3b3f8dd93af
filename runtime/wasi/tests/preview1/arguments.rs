//! Arguments, environment, random numbers, exit.

use wherry_wasi::{ConfigError, Errno, Fault, Wasi};

use crate::guest::{DATA, Guest, Host, failed};

#[test]
fn arguments_end_with_nul_and_have_pointers() {
    let mut guest = Guest::new();
    guest.wasi.args_sizes_get(&mut guest.memory, 0, 4).unwrap();
    assert_eq!((guest.u32_at(0), guest.u32_at(4)), (3, 21));
    guest.wasi.args_get(&mut guest.memory, 100, 200).unwrap();
    assert_eq!(&guest.memory[200..221], b"program\0an argument\0\0");
    assert_eq!([100, 104, 108].map(|at| guest.u32_at(at)), [200, 208, 220]);
}

#[test]
fn environment_is_name_and_value() {
    let mut guest = Guest::new();
    guest
        .wasi
        .environ_sizes_get(&mut guest.memory, 0, 4)
        .unwrap();
    assert_eq!((guest.u32_at(0), guest.u32_at(4)), (1, 11));
    guest.wasi.environ_get(&mut guest.memory, 100, 200).unwrap();
    assert_eq!(&guest.memory[200..211], b"NAME=value\0");
    assert_eq!(guest.u32_at(100), 200);
}

#[test]
fn strings_that_do_not_fit_are_not_written() {
    let mut guest = Guest::new();
    let end = u32::try_from(guest.memory.len()).unwrap();
    for (argv, buffer) in [(0, end - 20), (end - 8, 0), (u32::MAX, 0), (0, u32::MAX)] {
        let result = guest.wasi.args_get(&mut guest.memory, argv, buffer);
        assert_eq!(result, failed(Errno::Fault));
        assert!(guest.memory.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn strings_that_a_guest_cannot_be_told_are_refused() {
    let host = Host::new();
    let mut config = host.config();
    config.args.push(b"a\0b".to_vec());
    assert!(matches!(
        Wasi::new(config),
        Err(ConfigError::Argument { index: 3 })
    ));
    for name in [b"".as_slice(), b"A=B", b"A\0"] {
        let mut config = host.config();
        config.env.push((name.to_vec(), Vec::new()));
        assert!(matches!(
            Wasi::new(config),
            Err(ConfigError::Variable { .. })
        ));
    }
}

#[test]
fn two_directories_cannot_have_one_name() {
    let host = Host::new();
    let mut config = host.config();
    config.mounts[0].guest = "/".to_owned();
    assert!(matches!(
        Wasi::new(config),
        Err(ConfigError::DuplicateMount { guest }) if guest == "/"
    ));
}

#[test]
fn random_numbers_depend_on_the_seed_only() {
    let draw = |seed| {
        let host = Host::new();
        let mut config = host.config();
        config.seed = seed;
        let mut guest = Guest::with(host, config);
        guest.wasi.random_get(&mut guest.memory, 0, 64).unwrap();
        guest.memory[..64].to_vec()
    };
    assert_eq!(draw([1; 32]), draw([1; 32]));
    assert_ne!(draw([1; 32]), draw([2; 32]));
    let mut guest = Guest::new();
    let end = u32::try_from(guest.memory.len()).unwrap();
    let result = guest.wasi.random_get(&mut guest.memory, end - 1, 2);
    assert_eq!(result, failed(Errno::Fault));
    guest.wasi.random_get(&mut guest.memory, end, 0).unwrap();
}

#[test]
fn exit_signals_and_yield() {
    let mut guest = Guest::new();
    let memory = &mut guest.memory;
    assert_eq!(guest.wasi.proc_exit(memory, 7), Err(Fault::Exit(7)));
    assert_eq!(guest.wasi.proc_raise(memory, 6), failed(Errno::Notsup));
    assert_eq!(guest.wasi.sched_yield(memory), Ok(()));
}

#[test]
fn sockets_are_refused_for_what_they_are_not() {
    let mut guest = Guest::new();
    for (fd, errno) in [
        (1, Errno::Notsock),
        (DATA, Errno::Notsock),
        (99, Errno::Badf),
    ] {
        let memory = &mut guest.memory;
        assert_eq!(guest.wasi.sock_shutdown(memory, fd, 1), failed(errno));
        assert_eq!(guest.wasi.sock_accept(memory, fd, 0, 0), failed(errno));
        assert_eq!(guest.wasi.sock_send(memory, fd, 0, 0, 0, 0), failed(errno));
        assert_eq!(
            guest.wasi.sock_recv(memory, fd, 0, 0, 0, 0, 0),
            failed(errno)
        );
    }
}
