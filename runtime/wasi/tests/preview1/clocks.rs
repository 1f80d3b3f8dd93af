//! Clocks.

use wherry_wasi::Errno;

use crate::guest::{Guest, failed};

#[test]
fn clocks_have_a_resolution_and_go_on() {
    let mut guest = Guest::new();
    for id in 0..4 {
        guest.wasi.clock_res_get(&mut guest.memory, id, 0).unwrap();
        assert!(guest.u64_at(0) > 0);
        guest
            .wasi
            .clock_time_get(&mut guest.memory, id, 0, 8)
            .unwrap();
        guest
            .wasi
            .clock_time_get(&mut guest.memory, id, 1, 16)
            .unwrap();
        assert!(guest.u64_at(16) >= guest.u64_at(8));
    }
}

#[test]
fn monotonic_time_is_never_zero() {
    let mut guest = Guest::new();
    guest
        .wasi
        .clock_time_get(&mut guest.memory, 1, 0, 0)
        .unwrap();
    assert_ne!(guest.u64_at(0), 0);
}

#[test]
fn unknown_clocks_are_refused() {
    let mut guest = Guest::new();
    let memory = &mut guest.memory;
    assert_eq!(guest.wasi.clock_res_get(memory, 4, 0), failed(Errno::Inval));
    assert_eq!(
        guest.wasi.clock_time_get(memory, u32::MAX, 0, 0),
        failed(Errno::Inval)
    );
}

#[test]
fn monotonic_time_goes_on_from_where_it_was_saved() {
    let mut guest = Guest::new();
    let (mut state, blobs) = guest.save();
    // As if it had run for a year.
    state.clocks.monotonic = 31_536_000_000_000_000;
    state.clocks.cpu = 5_000_000_000;
    let host = crate::guest::Host::new();
    let config = host.config();
    let restored = wherry_wasi::Wasi::restore(&state, config, &blobs).unwrap();
    let clocks = restored.clocks();
    assert!(clocks.monotonic >= state.clocks.monotonic);
    // Not the host's clock, which started at another time.
    assert!(clocks.monotonic < state.clocks.monotonic + 3_600_000_000_000);
    assert!(clocks.cpu >= state.clocks.cpu);
}
