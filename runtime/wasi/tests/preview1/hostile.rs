//! Whatever a guest passes, a call answers, and the host stays as it is.

use proptest::prelude::*;
use wherry_wasi::{Fault, Interrupt, Wasi, WasiState};

use crate::guest::{Blobs, CREAT, DATA, Guest, Host, ROOT, put};

/// Arguments that are likely to be accepted, and others.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..10_u32, 0..70_000_u32, any::<u32>(), Just(u32::MAX)]
}

/// Files of a size between these would be saved in full.
fn wide() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_u64, 0..1_000_000_u64, (1 << 63)..=u64::MAX]
}

/// Calls function number `which` with these arguments.
fn call(guest: &mut Guest, which: usize, narrow: &[u32; 10], wide: &[u64; 2]) -> Result<(), Fault> {
    let mut which = which;
    let (mut narrow, mut wide) = (narrow.iter().copied(), wide.iter().copied());
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    let memory = &mut memory[..65536];
    macro_rules! dispatch {
        ($(fn $name:ident($($arg:ident: $type:ident),* $(,)?) -> $result:ident;)*) => {
            $(
                if which == 0 {
                    $(let $arg = argument!($type, narrow, wide);)*
                    return wasi.$name(memory, $($arg),*);
                }
                which -= 1;
            )*
        };
    }
    macro_rules! argument {
        (u32, $narrow:ident, $wide:ident) => {
            $narrow.next().unwrap()
        };
        (u64, $narrow:ident, $wide:ident) => {
            $wide.next().unwrap()
        };
        (i64, $narrow:ident, $wide:ident) => {
            $wide.next().unwrap().cast_signed()
        };
    }
    wherry_wasi::for_each_function!(dispatch);
    panic!("there are 46 functions, no number {which} more");
}

fn guest() -> (Guest, Interrupt) {
    let host = Host::new();
    let config = host.config();
    let interrupt = config.interrupt.clone();
    // Nothing may wait for ever.
    interrupt.raise();
    let mut guest = Guest::with(host, config);
    guest.open(ROOT, "f", CREAT).unwrap();
    guest.mkdir(ROOT, "d").unwrap();
    guest.open_dir(ROOT, "d").unwrap();
    (guest, interrupt)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Random calls on random memory, and at the end the job can still be saved and
    /// restored.
    #[test]
    fn random_calls_do_no_harm(
        seed in any::<[u8; 32]>(),
        calls in prop::collection::vec(
            (0..46_usize, prop::array::uniform10(number()), prop::array::uniform2(wide())),
            1..40,
        ),
    ) {
        let (mut guest, _interrupt) = guest();
        for (index, byte) in guest.memory.iter_mut().enumerate() {
            *byte = match index % 7 {
                0..4 => seed[index % 32] % 6,
                4 => b"abd./f\0"[usize::from(seed[index / 7 % 32]) % 7],
                _ => 0,
            };
        }
        let before = guest.memory[65536..].to_vec();
        for (which, narrow, wide) in &calls {
            let _ = call(&mut guest, *which, narrow, wide);
        }
        prop_assert_eq!(&guest.memory[65536..], &before);
        prop_assert!(guest.host.data.path().exists());
        guest.move_away();
    }
}

/// A state with a bit of everything.
fn full_state() -> (Guest, WasiState, Blobs) {
    let mut guest = Guest::new();
    put(&guest.host.data, "f", b"a file of the host");
    guest.open(DATA, "f", 0).unwrap();
    guest.mkdir(ROOT, "d").unwrap();
    guest.create(ROOT, "d/f", b"content");
    guest.link(ROOT, "d/f", ROOT, "link").unwrap();
    guest.symlink("d", ROOT, "s").unwrap();
    let directory = guest.open_dir(ROOT, "s").unwrap();
    guest.names(directory);
    guest.open(directory, "gone", CREAT).unwrap();
    guest.unlink(directory, "gone").unwrap();
    let (state, blobs) = guest.save();
    (guest, state, blobs)
}

#[test]
fn a_state_has_one_encoding() {
    let (_, state, _) = full_state();
    let bytes = postcard::to_stdvec(&state).unwrap();
    let decoded: WasiState = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(decoded, state);
    assert_eq!(postcard::to_stdvec(&decoded).unwrap(), bytes);
}

/// A bit of each byte of an encoded state, flipped: it is refused, or restored without harm.
#[test]
fn flipped_bits_do_no_harm() {
    let (mut guest, state, blobs) = full_state();
    let bytes = postcard::to_stdvec(&state).unwrap();
    let mut restored = 0;
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let Ok(state) = postcard::from_bytes::<WasiState>(&bytes) else {
            continue;
        };
        guest.host.scratch = tempfile::tempdir().unwrap();
        if let Ok(mut wasi) = Wasi::restore(&state, guest.host.config(), &blobs) {
            restored += 1;
            let _ = wasi.save(&mut Blobs::default());
        }
        // The recorded size may have been flipped, and a file that grew is cut back.
        put(&guest.host.data, "f", b"a file of the host");
        assert_eq!(
            std::fs::read_dir(guest.host.data.path()).unwrap().count(),
            1
        );
        assert_eq!(
            std::fs::read_dir(guest.host.fixed.path()).unwrap().count(),
            0
        );
    }
    assert!(restored > 0);
}

#[test]
fn all_functions_are_listed() {
    let mut count = 0;
    macro_rules! count {
        ($(fn $name:ident($($arg:ident: $type:ident),* $(,)?) -> $result:ident;)*) => {
            $(
                count += 1;
                let _ = stringify!($name);
            )*
        };
    }
    wherry_wasi::for_each_function!(count);
    assert_eq!(count, 46);
}

#[test]
fn every_pointer_out_of_range_is_a_fault_or_another_error() {
    for which in 0..46 {
        let (mut guest, _interrupt) = guest();
        let result = call(&mut guest, which, &[u32::MAX; 10], &[u64::MAX; 2]);
        // Only `sched_yield` has nothing to refuse.
        let yielded = which == 41;
        assert_eq!(result.is_ok(), yielded, "function {which}");
    }
}
