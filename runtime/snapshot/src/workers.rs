//! Work on many chunks at once: a few threads take one item after another, so that none of
//! them waits for the others, and nobody starts threads for a single item.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Items between the one that is taken next and the one that is handed out next. It bounds
/// the memory that results take while the disk is slower than the workers.
const WINDOW: usize = 128;

/// More threads than this are not faster than the memory and the disk behind them.
const MOST: usize = 16;

fn threads(items: usize) -> usize {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    threads.min(MOST).min(items)
}

/// Applies `work` to about `count` items, in any order, until one fails. Each thread has a
/// scratch state of its own.
pub(crate) fn each<T: Send, S, E: Send>(
    count: usize,
    items: impl Iterator<Item = T> + Send,
    scratch: impl Fn() -> Result<S, E> + Sync,
    work: impl Fn(&mut S, T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let threads = threads(count);
    if threads <= 1 {
        let mut scratch = scratch()?;
        return items
            .into_iter()
            .try_for_each(|item| work(&mut scratch, item));
    }
    // Whoever fails takes the items away, so that the others end.
    let items = Mutex::new(Some(items));
    let next = || lock(&items).as_mut().and_then(Iterator::next);
    let worker = || {
        let mut scratch = scratch()?;
        while let Some(item) = next() {
            if let Err(error) = work(&mut scratch, item) {
                *lock(&items) = None;
                return Err(error);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(joined).fold(Ok(()), Result::and)
    })
}

/// Applies `work` to about `count` items and gives the results, in the order of the items, to
/// `take` on the calling thread. Each worker has a scratch state of its own.
pub(crate) fn in_order<T: Send, R: Send, S>(
    count: usize,
    mut items: impl Iterator<Item = io::Result<T>> + Send,
    scratch: impl Fn() -> io::Result<S> + Sync,
    work: impl Fn(&mut S, T) -> io::Result<R> + Sync,
    mut take: impl FnMut(R) -> io::Result<()>,
) -> io::Result<()> {
    let threads = threads(count);
    if threads <= 1 {
        let mut scratch = scratch()?;
        return items.try_for_each(|item| take(work(&mut scratch, item?)?));
    }
    let queue = Queue::new(items);
    let worker = || {
        let abort = Abort(&queue);
        let mut scratch = scratch();
        while let Some((number, item)) = queue.next_item() {
            let result = match &mut scratch {
                Ok(scratch) => item.and_then(|item| work(scratch, item)),
                Err(error) => Err(io::Error::other(error.to_string())),
            };
            queue.done(number, result);
        }
        std::mem::forget(abort);
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
        let _abort = Abort(&queue);
        while let Some(result) = queue.next_result() {
            take(result?)?;
        }
        Ok(())
    })
}

/// Ends the work when it is dropped: before the end only because of an error or a panic.
struct Abort<'a, I, R>(&'a Queue<I, R>);

impl<I, R> Drop for Abort<'_, I, R> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.results.clear();
        self.0.end(state);
    }
}

/// Items on their way through the workers.
struct Queue<I, R> {
    state: Mutex<State<I, R>>,
    /// There is room in the window, or nothing more to do.
    room: Condvar,
    /// The next result is there, or none will come.
    ready: Condvar,
}

struct State<I, R> {
    items: I,
    /// Number of the item whose result is the first of `results`.
    first: usize,
    /// A place for each item that was handed out and not taken yet.
    results: VecDeque<Option<R>>,
    /// No more items are handed out.
    ended: bool,
}

impl<I: Iterator, R> Queue<I, R> {
    fn new(items: I) -> Self {
        let state = State {
            items,
            first: 0,
            results: VecDeque::with_capacity(WINDOW),
            ended: false,
        };
        Queue {
            state: Mutex::new(state),
            room: Condvar::new(),
            ready: Condvar::new(),
        }
    }

    /// The next item and its number, once there is room for its result.
    fn next_item(&self) -> Option<(usize, I::Item)> {
        let full = |state: &mut State<I, R>| !state.ended && state.results.len() >= WINDOW;
        let mut state = wait_while(&self.room, lock(&self.state), full);
        if state.ended {
            return None;
        }
        let Some(item) = state.items.next() else {
            self.end(state);
            return None;
        };
        state.results.push_back(None);
        Some((state.first + state.results.len() - 1, item))
    }

    fn done(&self, number: usize, result: R) {
        let mut state = lock(&self.state);
        let place = number - state.first;
        // After an error there are no places any more.
        if let Some(empty) = state.results.get_mut(place) {
            *empty = Some(result);
        }
        if place == 0 {
            self.ready.notify_one();
        }
    }

    /// The result that is next in order; none after the last, or after a panic.
    fn next_result(&self) -> Option<R> {
        let missing = |state: &mut State<I, R>| match state.results.front() {
            Some(result) => result.is_none(),
            None => !state.ended,
        };
        let mut state = wait_while(&self.ready, lock(&self.state), missing);
        let result = state.results.pop_front()?;
        state.first += 1;
        self.room.notify_one();
        result
    }
}

impl<I, R> Queue<I, R> {
    /// No more items are handed out.
    fn end(&self, mut state: MutexGuard<'_, State<I, R>>) {
        state.ended = true;
        drop(state);
        self.room.notify_all();
        self.ready.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let waited = changed.wait_while(guard, condition);
    waited.unwrap_or_else(PoisonError::into_inner)
}

/// The result of a worker; its panic, a bug of ours, goes on in the caller.
fn joined<T>(worker: thread::ScopedJoinHandle<'_, T>) -> T {
    worker
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whoever_is_faster() {
        let items = (0..5_000).map(Ok);
        let mut taken = Vec::new();
        let work = |_: &mut (), item: u32| {
            // Every seventh takes longer.
            let rounds = if item.is_multiple_of(7) { 20_000 } else { 1 };
            Ok((0..rounds).fold(item, |sum, _| std::hint::black_box(sum)))
        };
        let take = |item| {
            taken.push(item);
            Ok(())
        };
        in_order(5_000, items, || Ok(()), work, take).unwrap();
        assert!(taken.into_iter().eq(0..5_000));
    }

    #[test]
    fn the_first_error_ends_the_work() {
        let failing = |at: u32| {
            move |item: u32| match item {
                item if item == at => Err(io::Error::other(format!("item {item}"))),
                item => Ok(item),
            }
        };
        let never = u32::MAX;
        for (reading, working, taking) in [
            (900, never, never),
            (never, 900, never),
            (never, never, 900),
        ] {
            let items = (0..u32::MAX).map(failing(reading));
            let work = |_: &mut (), item| failing(working)(item);
            let mut taken = 0;
            let take = |item| {
                taken = failing(taking)(item)?;
                Ok(())
            };
            let error = in_order(usize::MAX, items, || Ok(()), work, take).unwrap_err();
            assert_eq!(error.to_string(), "item 900");
            assert_eq!(taken, 899);
        }
        let work = |_: &mut (), item| failing(900)(item).map(drop);
        let error = each(usize::MAX, 0..u32::MAX, || Ok(()), work).unwrap_err();
        assert_eq!(error.to_string(), "item 900");
    }

    #[test]
    fn a_panic_of_a_worker_is_not_waited_for() {
        let work = |_: &mut (), item: u32| {
            if item == 900 {
                panic!("item 900")
            } else {
                Ok(item)
            }
        };
        let all = || in_order(5_000, (0..5_000).map(Ok), || Ok(()), work, |_| Ok(()));
        assert!(std::panic::catch_unwind(all).is_err());
    }
}
