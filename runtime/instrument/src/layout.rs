//! How a frame lies in the state memory when a function is to rewind into it.
//!
//! What a function stores is packed, by site. What it restores is laid out by function: one
//! place for every value that any of its sites keeps. So one sequence of loads serves all
//! sites of a region, and the engine, which translates frames anyway, does the unpacking.

use wherry_snapshot::Slot;

use crate::map::Type;

/// The frame of one function: values in the order of their classes, then the u32 of whom a
/// dynamic call resumes, then the u32 of the site.
#[derive(Default)]
pub(crate) struct Layout {
    /// Sorted; with the offset of each.
    places: Vec<(Type, Slot, u32)>,
    values: u32,
}

impl Layout {
    /// The layout for all values that the sites of a function keep.
    pub(crate) fn of(slots: impl Iterator<Item = (Slot, Type)>) -> Self {
        let mut places: Vec<(Type, Slot, u32)> = slots.map(|(slot, ty)| (ty, slot, 0)).collect();
        places.sort_unstable();
        places.dedup();
        let mut values = 0;
        for (ty, _, offset) in &mut places {
            *offset = values;
            values += ty.size();
        }
        Self { places, values }
    }

    /// Offset of a value.
    pub(crate) fn offset(&self, slot: Slot, ty: Type) -> Option<u32> {
        let key = (ty, slot);
        let place = self
            .places
            .binary_search_by_key(&key, |&(ty, slot, _)| (ty, slot))
            .ok()?;
        Some(self.places[place].2)
    }

    pub(crate) fn callee(&self) -> u32 {
        self.values
    }

    pub(crate) fn site(&self) -> u32 {
        self.values + 4
    }

    pub(crate) fn size(&self) -> u32 {
        self.values + 8
    }
}
