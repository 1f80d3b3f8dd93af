use std::sync::mpsc::{Receiver, channel};

use wgpu::util::{BufferInitDescriptor, DeviceExt};
use wgpu::{BufferAsyncError, BufferUsages, MapMode, PollStatus, PollType};

use super::host::{fails, host};
use super::{buffer, caught, open};
use wherry_gpu_abi::Failure;

type Answer = Receiver<Result<(), BufferAsyncError>>;

fn map(buffer: &wgpu::Buffer, mode: MapMode) -> Answer {
    let (sender, receiver) = channel();
    buffer.map_async(mode, .., move |result| sender.send(result).unwrap());
    receiver
}

fn submit(device: &wgpu::Device, queue: &wgpu::Queue) -> wgpu::SubmissionIndex {
    queue.submit([device.create_command_encoder(&Default::default()).finish()])
}

#[test]
fn what_is_written_when_mapped_at_creation_is_in_the_buffer() {
    let (device, _queue) = open();
    let buffer = device.create_buffer_init(&BufferInitDescriptor {
        label: None,
        contents: &[1, 2, 3, 4, 5],
        usage: BufferUsages::COPY_SRC,
    });
    assert_eq!(buffer.size(), 8);
    host(|host| {
        let content: Vec<_> = host.contents.values().collect();
        assert_eq!(content, [&[1, 2, 3, 4, 5, 0, 0, 0]]);
    });
}

#[test]
fn a_mapping_is_there_when_the_submissions_before_it_are_done() {
    let (device, queue) = open();
    let buffer = buffer(&device, 8, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    queue.write_buffer(&buffer, 0, &[7; 8]);
    submit(&device, &queue);
    let answer = map(&buffer, MapMode::Read);

    assert_eq!(device.poll(PollType::Poll).unwrap(), PollStatus::Poll);
    assert!(answer.try_recv().is_err(), "the GPU still uses it");
    assert!(buffer.get_mapped_range(..).is_err());

    let waited = device.poll(PollType::wait_indefinitely()).unwrap();
    assert_eq!(waited, PollStatus::QueueEmpty);
    assert_eq!(answer.try_recv(), Ok(Ok(())));
    assert_eq!(&*buffer.get_mapped_range(4..).unwrap(), [7; 4]);
    buffer.unmap();
    assert!(buffer.get_mapped_range(..).is_err());
    host(|host| assert!(host.mapped.is_empty()));
}

#[test]
fn a_part_that_is_mapped_to_be_written_keeps_the_rest() {
    let (device, queue) = open();
    let buffer = buffer(
        &device,
        16,
        BufferUsages::MAP_WRITE | BufferUsages::COPY_DST,
    );
    queue.write_buffer(&buffer, 0, &[7; 16]);
    let answer = map(&buffer, MapMode::Write);
    device.poll(PollType::Poll).unwrap();
    answer.try_recv().unwrap().unwrap();
    let mut view = buffer.get_mapped_range_mut(8..).unwrap();
    view.slice(..2).copy_from_slice(&[1, 2]);
    drop(view);
    buffer.unmap();
    host(|host| {
        let content = host.contents.values().next().unwrap();
        assert_eq!(content[..8], [7; 8]);
        assert_eq!(content[8..], [1, 2, 7, 7, 7, 7, 7, 7]);
    });
}

#[test]
fn unmapping_gives_up_a_mapping_that_is_not_there() {
    let (device, queue) = open();
    let buffer = buffer(&device, 8, BufferUsages::MAP_READ);
    submit(&device, &queue);
    let first = map(&buffer, MapMode::Read);
    buffer.unmap();
    assert_eq!(first.try_recv(), Ok(Err(BufferAsyncError)));
    let second = map(&buffer, MapMode::Read);
    device.poll(PollType::wait_indefinitely()).unwrap();
    assert_eq!(second.try_recv(), Ok(Ok(())));
}

#[test]
fn a_refused_mapping_tells_the_callback_and_the_scope() {
    let (device, _queue) = open();
    let buffer = buffer(&device, 8, BufferUsages::COPY_DST);
    let mut answer = None;
    let error = caught(&device, || {
        fails(Failure::Validation, "no MAP_READ");
        answer = Some(map(&buffer, MapMode::Read));
    });
    assert_eq!(answer.unwrap().try_recv(), Ok(Err(BufferAsyncError)));
    assert!(error.unwrap().contains("no MAP_READ"));
}

#[test]
fn callbacks_come_in_order_and_may_ask_for_more() {
    let (device, queue) = open();
    let (sender, receiver) = channel();
    for number in 0..3 {
        let (sender, again) = (sender.clone(), queue.clone());
        submit(&device, &queue);
        queue.on_submitted_work_done(move || {
            sender.send(number).unwrap();
            again.on_submitted_work_done(move || sender.send(10 + number).unwrap());
        });
    }
    device.poll(PollType::wait_indefinitely()).unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    device.poll(PollType::Poll).unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [10, 11, 12]);
}

#[test]
fn waiting_for_one_submission_leaves_the_later_ones() {
    let (device, queue) = open();
    let first = submit(&device, &queue);
    let last = submit(&device, &queue);
    let wait = |submission_index| PollType::Wait {
        submission_index,
        timeout: None,
    };
    assert_eq!(
        device.poll(wait(Some(first))).unwrap(),
        PollStatus::WaitSucceeded
    );
    assert_eq!(
        device.poll(wait(Some(last))).unwrap(),
        PollStatus::QueueEmpty
    );
    host(|host| host.submissions.push(Vec::new()));
}

#[test]
fn staging_buffers_are_written_when_they_are_dropped() {
    let (device, queue) = open();
    let buffer = buffer(&device, 8, BufferUsages::COPY_DST);
    let size = wgpu::BufferSize::new(4).unwrap();
    let mut view = queue.write_buffer_with(&buffer, 4, size).unwrap();
    view.copy_from_slice(&[1, 2, 3, 4]);
    host(|host| assert_eq!(host.contents.values().next().unwrap()[..], [0; 8]));
    drop(view);
    host(|host| {
        let content = host.contents.values().next().unwrap();
        assert_eq!(content[..], [0, 0, 0, 0, 1, 2, 3, 4]);
    });
    let error = caught(&device, || {
        assert!(queue.write_buffer_with(&buffer, 8, size).is_none());
    });
    assert!(error.unwrap().contains("reach beyond"));
}
