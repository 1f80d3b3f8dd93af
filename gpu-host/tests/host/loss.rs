//! A device that is lost: every call says so, also after the job has moved, until the guest opens another.

use wherry_gpu_abi::*;
use wherry_gpu_host::AdapterChoice;

use crate::compute::{STEP, STORAGE};
use crate::guest::{Guest, LAVAPIPE, SWIFTSHADER, dispatch, driver, noop};

const LOST: u32 = Failure::DeviceLost as u32;

fn state(guest: &mut Guest) -> u32 {
    guest.gpu.state(&mut guest.memory).unwrap()
}

/// Every call that can fail does, and says why.
fn is_lost(guest: &mut Guest, buffer: Handle, commands: &[Command]) {
    assert_eq!(state(guest), DeviceState::Lost as u32);
    let (made, status) = guest.try_create(BufferDescriptor {
        label: String::new(),
        size: 16,
        usage: STORAGE,
        mapped_at_creation: false,
    });
    assert_eq!(status, LOST);
    assert!(guest.message().contains("the driver was reset"));
    assert_eq!(guest.try_submit(commands), -i64::from(LOST));
    assert_eq!(
        guest.submit_as(commands, SubmitMode::Check),
        -i64::from(LOST)
    );
    assert_eq!(guest.try_write(buffer, 0, &[0; 4]), LOST);
    let (gpu, memory) = (&mut guest.gpu, &mut guest.memory);
    let all = [
        gpu.wait(memory, 0, u64::MAX),
        gpu.map(memory, buffer, 1, 0, 16),
        gpu.unmap(memory, buffer),
        gpu.read(memory, buffer, 0, 64, 16),
        gpu.destroy(memory, buffer),
    ];
    for status in all {
        assert_eq!(status.unwrap(), LOST);
    }
    gpu.drop_handle(memory, made).unwrap();
    gpu.drop_handle(memory, 0).unwrap();
}

fn loses(from: AdapterChoice, to: AdapterChoice) {
    let mut guest = Guest::new(from);
    let usage = STORAGE | BufferUsage::COPY_DST | BufferUsage::COPY_SRC;
    let buffer = guest.buffer(4096, usage);
    let pipeline = guest.compute(STEP);
    let group = guest.group(pipeline, &[buffer]);
    let commands = dispatch(pipeline, group, 16);
    guest.submit(&commands);
    guest.gpu.lose_device("the driver was reset");
    is_lost(&mut guest, buffer, &commands);
    let (mut guest, _) = guest.moved(to);
    is_lost(&mut guest, buffer, &commands);

    guest.gpu.close(&mut guest.memory).unwrap();
    assert_eq!(state(&mut guest), DeviceState::Closed as u32);
    guest.open(&[], Limits::DEFAULT);
    let buffer = guest.buffer(4096, usage);
    guest.write_words(buffer, &[3; 1024]);
    assert_eq!(state(&mut guest), DeviceState::Open as u32);
}

#[test]
fn a_lost_device_stays_lost() {
    loses(noop(), noop());
    if let (Some(a), Some(b)) = (driver(LAVAPIPE), driver(SWIFTSHADER)) {
        loses(a.clone(), b.clone());
        loses(b, a);
    }
}
