//! An open device: its errors, what is under way on it, and waiting for that.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wherry_gpu_abi::{DeviceDescriptor, Failure, Limits};

use crate::fault::{Failed, Fault};
use crate::staging::Staging;
use crate::{Adapter, Error, Quota, limits};

/// How long the host waits at a time, before it looks whether the program is to leave.
const SLICE: Duration = Duration::from_millis(10);

pub(crate) struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) descriptor: DeviceDescriptor,
    pub(crate) staging: Staging,
    /// The number of the last submission of the guest.
    pub(crate) submitted: u64,
    /// wgpu holds what was written until the next work is handed over.
    pub(crate) has_writes: bool,
    /// Counts what is handed to the queue, transfers too.
    work: u64,
    done: Arc<AtomicU64>,
    under_way: VecDeque<u64>,
    /// The work that each submission of the guest, by its number, ends with.
    submissions: VecDeque<(u64, u64)>,
    /// When the oldest work that is under way began, as far as is known.
    since: Instant,
    pub(crate) busy: Duration,
    errors: Arc<Sink>,
}

/// What wgpu reports, from whatever thread.
#[derive(Default)]
struct Sink {
    error: Mutex<Option<(Failure, String)>>,
    lost: Mutex<Option<String>>,
}

impl Device {
    pub(crate) fn open(adapter: &Adapter, descriptor: DeviceDescriptor) -> Result<Self, Error> {
        let limits = limits::best(&descriptor.limits, &Limits::DEFAULT);
        let wanted = wgpu::DeviceDescriptor {
            label: None,
            required_features: limits::features_to_wgpu(&descriptor.features),
            required_limits: limits::to_wgpu(&limits),
            ..wgpu::DeviceDescriptor::default()
        };
        let opened = pollster::block_on(adapter.adapter.request_device(&wanted));
        let (device, queue) = opened.map_err(|error| Error::Open(error.to_string()))?;
        let errors = Arc::new(Sink::default());
        let sink = Arc::clone(&errors);
        device.on_uncaptured_error(Arc::new(move |error| sink.report(error)));
        let sink = Arc::clone(&errors);
        device.set_device_lost_callback(move |_, why| sink.lose(why));
        Ok(Self {
            device,
            queue,
            descriptor: DeviceDescriptor {
                limits,
                ..descriptor
            },
            staging: Staging::default(),
            submitted: 0,
            has_writes: false,
            work: 0,
            done: Arc::default(),
            under_way: VecDeque::new(),
            submissions: VecDeque::new(),
            since: Instant::now(),
            busy: Duration::ZERO,
            errors,
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.descriptor.limits
    }

    /// The first error that wgpu has reported since the last call of this.
    pub(crate) fn take_error(&self) -> Result<(), Failed> {
        if let Some(why) = self.lost() {
            return Err(Failed::lost(why));
        }
        let error = lock(&self.errors.error).take();
        error.map_or(Ok(()), |(failure, message)| {
            Err(Failed::Error(failure, message))
        })
    }

    /// Why the device is lost, if it is.
    pub(crate) fn lost(&self) -> Option<String> {
        lock(&self.errors.lost).clone()
    }

    pub(crate) fn lose(&self, why: &str) {
        self.errors.lose(why.to_owned());
    }

    /// Hands work to the queue.
    pub(crate) fn hand_over(&mut self, commands: impl IntoIterator<Item = wgpu::CommandBuffer>) {
        if self.under_way.is_empty() {
            self.since = Instant::now();
        }
        self.has_writes = false;
        self.queue.submit(commands);
        self.work += 1;
        let (work, done) = (self.work, Arc::clone(&self.done));
        self.queue.on_submitted_work_done(move || {
            done.fetch_max(work, Ordering::SeqCst);
        });
        self.under_way.push_back(work);
    }

    /// Hands over what was only written so far.
    pub(crate) fn flush(&mut self) {
        if self.has_writes {
            self.hand_over([]);
        }
    }

    /// Notes that the last work was a submission of the guest. Gives its number.
    pub(crate) fn number_submission(&mut self) -> u64 {
        self.submitted += 1;
        self.submissions.push_back((self.submitted, self.work));
        self.submitted
    }

    /// How many submissions of the guest are under way.
    pub(crate) fn submissions_under_way(&self) -> usize {
        self.submissions.len()
    }

    /// Lets wgpu see what is done, for as long as `time`.
    fn poll(&mut self, time: Duration) -> Result<(), Failed> {
        let poll = if time.is_zero() {
            wgpu::PollType::Poll
        } else {
            wgpu::PollType::Wait {
                submission_index: None,
                timeout: Some(time),
            }
        };
        // That it takes longer is no error here.
        let _ = self.device.poll(poll);
        let done = self.done.load(Ordering::SeqCst);
        let before = self.under_way.len();
        while self.under_way.front().is_some_and(|work| *work <= done) {
            self.under_way.pop_front();
        }
        while self
            .submissions
            .front()
            .is_some_and(|(_, work)| *work <= done)
        {
            self.submissions.pop_front();
        }
        if self.under_way.len() < before {
            let now = Instant::now();
            self.busy += now - self.since;
            self.since = now;
        }
        match self.lost() {
            Some(why) => Err(Failed::lost(why)),
            None => Ok(()),
        }
    }

    /// Ends the job if what is under way takes too long, or it has used too much.
    fn check_time(&self, watch: &Watch<'_>) -> Result<(), Fault> {
        let now = if self.under_way.is_empty() {
            Duration::ZERO
        } else {
            self.since.elapsed()
        };
        if now > watch.quota.submission_time {
            return Err(Fault::Hung(watch.quota.submission_time));
        }
        match watch.quota.gpu_time {
            Some(limit) if watch.used_before + self.busy + now > limit => Err(Fault::GpuTime),
            _ => Ok(()),
        }
    }

    /// Waits until `is_done`.
    pub(crate) fn wait_until(
        &mut self,
        watch: &Watch<'_>,
        mut is_done: impl FnMut(&Self) -> bool,
    ) -> Result<(), Failed> {
        self.poll(Duration::ZERO)?;
        while !is_done(self) {
            self.check_time(watch)?;
            if (watch.interrupted)() {
                return Err(Fault::Interrupted.into());
            }
            if watch.until.is_some_and(|until| Instant::now() >= until) {
                return Err(Failed::Error(
                    Failure::Timeout,
                    "the work is not done yet".to_owned(),
                ));
            }
            self.poll(SLICE)?;
        }
        Ok(self.check_time(watch)?)
    }

    /// Waits for all work.
    pub(crate) fn wait_idle(&mut self, watch: &Watch<'_>) -> Result<(), Failed> {
        self.wait_until(watch, |device| device.under_way.is_empty())
    }

    /// Waits for a submission of the guest and all before it.
    pub(crate) fn wait_submission(&mut self, number: u64, watch: &Watch<'_>) -> Result<(), Failed> {
        self.wait_until(watch, |device| {
            device
                .submissions
                .front()
                .is_none_or(|(oldest, _)| *oldest > number)
        })
    }
}

/// What ends waiting early.
pub(crate) struct Watch<'a> {
    pub(crate) quota: &'a Quota,
    /// How long other devices have worked for the job before.
    pub(crate) used_before: Duration,
    pub(crate) interrupted: &'a (dyn Fn() -> bool + Sync),
    pub(crate) until: Option<Instant>,
}

impl Sink {
    fn report(&self, error: wgpu::Error) {
        let (failure, message) = match error {
            wgpu::Error::OutOfMemory { .. } => {
                (Failure::OutOfMemory, "the GPU is out of memory".to_owned())
            }
            wgpu::Error::Validation { description, .. } => (Failure::Validation, description),
            wgpu::Error::Internal { description, .. } => (Failure::Internal, description),
        };
        lock(&self.error).get_or_insert((failure, message));
    }

    fn lose(&self, why: String) {
        lock(&self.lost).get_or_insert(why);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
