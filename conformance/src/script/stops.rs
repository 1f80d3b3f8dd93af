//! Calls in a script, stopped at their safepoints.

use wasmtime::{Result, Val};

use super::{Mode, Runner, World};
use crate::Guest;

impl Runner<'_> {
    /// Calls an export as the mode asks for. The outer error is no outcome of the call.
    pub(super) fn call(
        &mut self,
        actor: usize,
        name: &str,
        args: &[Val],
        results: &mut [Val],
    ) -> Result<Result<()>> {
        let Mode::Stopped { stops, .. } = self.mode else {
            return Ok(self.call_once(actor, name, args, results));
        };
        if self.actors[actor].options.is_none() {
            return Ok(self.call_once(actor, name, args, results));
        }
        if self.actors[actor].holds_host_references {
            let line = self.actors[actor].line;
            if !self.record.with_host_references.contains(&line) {
                self.record.with_host_references.push(line);
            }
            return Ok(self.call_once(actor, name, args, results));
        }
        for stopped in 0.. {
            self.count_down(actor, interval(stopped, stops))?;
            let ended = self.call_once(actor, name, args, results);
            let (guest, store) = (&self.actors[actor].guest, self.actors[actor].world);
            let store = &mut self.worlds[store].store;
            if ended.is_err() || !guest.left(store)? {
                guest.calm(store)?;
                return Ok(ended);
            }
            if self.linked {
                self.rewind(actor)?;
            } else {
                self.travel(actor)?;
            }
        }
        unreachable!("a call ends, or leaves once more")
    }

    fn call_once(
        &mut self,
        actor: usize,
        name: &str,
        args: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let actor = &mut self.actors[actor];
        let store = &mut self.worlds[actor.world].store;
        actor.guest.call(store, name, args, results)
    }

    fn count_down(&mut self, actor: usize, safepoints: i64) -> Result<()> {
        let actor = &self.actors[actor];
        let store = &mut self.worlds[actor.world].store;
        actor.guest.count_down(store, safepoints)
    }

    /// Goes on in place: others are linked to the instance.
    fn rewind(&mut self, actor: usize) -> Result<()> {
        let actor = &mut self.actors[actor];
        let store = &mut self.worlds[actor.world].store;
        let frames = actor.guest.frames(store)?;
        actor.guest.rewind(store, &frames)?;
        self.record.rewinds += 1;
        Ok(())
    }

    /// Goes on in a new store, from the bytes of a checkpoint.
    fn travel(&mut self, actor: usize) -> Result<()> {
        let actor = &mut self.actors[actor];
        let checkpoint = actor
            .guest
            .checkpoint(&mut self.worlds[actor.world].store)?;
        let mut world = World::new(self.engine)?;
        let form = &actor.guest.form;
        let mut guest = Guest::new(&mut world.store, &world.linker, form)?;
        guest.restore(&mut world.store, &checkpoint)?;
        actor.guest = guest;
        self.worlds[actor.world] = world;
        self.record.round_trips += 1;
        Ok(())
    }
}

/// Safepoints to the next stop: 1 for the first `stops`, from there on more and more, so
/// that an endless recursion comes to its end.
fn interval(stopped: u32, stops: u32) -> i64 {
    1 << stopped.saturating_sub(stops).min(62)
}
