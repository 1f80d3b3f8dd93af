//! Stored frames and frames of checkpoints that do not fit the module are refused.

use proptest::prelude::*;
use wherry_instrument::{Map, MapError, Options, STACK_BASE, instrument};
use wherry_snapshot::{Frame, Slot, Value};

/// `_start` (function 1) calls `$recurse` (function 0), which polls at its entry.
fn map() -> Map {
    let wasm = wat::parse_str(include_str!("forms/call.wat")).unwrap();
    instrument(
        &wasm,
        &Options {
            resumable: true,
            countdown: false,
            ..Options::default()
        },
    )
    .unwrap()
    .map
}

/// The call site in `_start`, found by trying: its offset is the encoder's business.
fn frames(map: &Map) -> Vec<Frame> {
    let poll = Frame {
        function: 0,
        offset: 0,
        values: vec![(Slot::Local(0), Value::I32(7))],
    };
    let outer = (0..32).map(|offset| Frame {
        function: 1,
        offset,
        values: Vec::new(),
    });
    let fitting = outer.map(|outer| vec![outer, poll.clone()]);
    fitting
        .into_iter()
        .find(|frames| map.write_frames(frames).is_ok())
        .unwrap()
}

#[test]
fn frames_of_the_module_are_accepted() {
    let map = map();
    let (state, references) = map.write_frames(&frames(&map)).unwrap();
    assert!(state.len() > STACK_BASE as usize);
    assert_eq!(references, [None]);
    assert!(map.resumer(1).is_some(), "_start can be resumed");
    assert_eq!(map.resumer(9), None);
}

#[test]
fn frames_of_another_module_are_refused() {
    let map = map();
    let good = frames(&map);
    assert!(matches!(map.write_frames(&[]), Err(MapError::Empty)));

    let mut wrong = good.clone();
    wrong[1].offset = 1;
    assert!(matches!(
        map.write_frames(&wrong),
        Err(MapError::NoSafepoint {
            frame: 1,
            function: 0,
            offset: 1
        })
    ));

    let mut wrong = good.clone();
    wrong[1].values[0].1 = Value::I64(7);
    assert!(matches!(
        map.write_frames(&wrong),
        Err(MapError::WrongValues {
            frame: 1,
            function: 0
        })
    ));

    let mut wrong = good.clone();
    wrong[1].values.clear();
    assert!(matches!(
        map.write_frames(&wrong),
        Err(MapError::WrongValues { .. })
    ));

    // An innermost frame must be at a poll, and an outer one at a call.
    assert!(matches!(
        map.write_frames(&good[..1]),
        Err(MapError::NoSafepoint { .. })
    ));
    let twice = [good[1].clone(), good[1].clone()];
    assert!(matches!(
        map.write_frames(&twice),
        Err(MapError::NoSafepoint { frame: 0, .. })
    ));
    let itself = [good[0].clone(), good[0].clone(), good[1].clone()];
    assert!(matches!(
        map.write_frames(&itself),
        Err(MapError::WrongCallee {
            frame: 0,
            function: 1
        })
    ));
}

proptest! {
    #[test]
    fn stored_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let map = map();
        let mut state = vec![0; STACK_BASE as usize];
        state.extend(bytes);
        let _ = map.read_frames(&state, &[None]);
    }
}
