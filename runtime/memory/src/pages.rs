//! Sets of pages, as bits.

use std::ops::Range;

/// A set of page numbers. What lies beyond its capacity is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageSet(Vec<u64>);

const BITS: usize = 64;

impl PageSet {
    pub(crate) fn contains(&self, page: usize) -> bool {
        let word = self.0.get(page / BITS).copied().unwrap_or(0);
        word >> (page % BITS) & 1 == 1
    }

    pub(crate) fn insert(&mut self, pages: Range<usize>) {
        if self.0.len() * BITS < pages.end {
            self.0.resize(pages.end.div_ceil(BITS), 0);
        }
        each_word(pages, |word, mask| self.0[word] |= mask);
    }

    pub(crate) fn remove(&mut self, pages: Range<usize>) {
        let end = pages.end.min(self.0.len() * BITS);
        each_word(pages.start..end, |word, mask| self.0[word] &= !mask);
    }

    pub(crate) fn remove_all(&mut self, other: &PageSet) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
    }

    /// Whether any of `pages` is in the set.
    pub(crate) fn meets(&self, pages: Range<usize>) -> bool {
        self.runs_in(pages).next().is_some()
    }

    /// Maximal runs of pages that are in the set, ascending.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        self.runs_in(0..self.0.len() * BITS)
    }

    /// The runs within `pages`.
    pub(crate) fn runs_in(&self, pages: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let end = pages.end.min(self.0.len() * BITS);
        let mut at = pages.start;
        std::iter::from_fn(move || {
            let first = self.next(at, end, 0)?;
            at = self.next(first, end, !0).unwrap_or(end);
            Some(first..at)
        })
    }

    /// The first page from `at` on that is in the set, or with `flip` of ones is not.
    fn next(&self, at: usize, end: usize, flip: u64) -> Option<usize> {
        let mut page = at;
        while page < end {
            let rest = (self.0[page / BITS] ^ flip) >> (page % BITS);
            if rest != 0 {
                let found = page + rest.trailing_zeros() as usize;
                return (found < end).then_some(found);
            }
            page = (page / BITS + 1) * BITS;
        }
        None
    }
}

/// Calls `change` with every word that holds some of `pages`, and their bits in it.
fn each_word(pages: Range<usize>, mut change: impl FnMut(usize, u64)) {
    let mut page = pages.start;
    while page < pages.end {
        let (word, bit) = (page / BITS, page % BITS);
        let count = (BITS - bit).min(pages.end - page);
        let ones = u64::MAX >> (BITS - count);
        change(word, ones << bit);
        page += count;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((any::<bool>(), 0..400usize, 0..150usize), 0..30),
                              start in 0..500usize, length in 0..500usize) {
            let (mut pages, mut model) = (PageSet::default(), BTreeSet::new());
            for (insert, first, count) in steps {
                if insert {
                    pages.insert(first..first + count);
                    model.extend(first..first + count);
                } else {
                    pages.remove(first..first + count);
                    model.retain(|page| !(first..first + count).contains(page));
                }
            }
            let within = start..start + length;
            let flat: Vec<_> = pages.runs_in(within.clone()).flatten().collect();
            let expected: Vec<_> = model.iter().copied().filter(|page| within.contains(page)).collect();
            prop_assert_eq!(&flat, &expected);
            prop_assert_eq!(pages.meets(within), !expected.is_empty());
            prop_assert!(pages.runs().zip(pages.runs().skip(1)).all(|(one, next)| one.end < next.start));
            prop_assert!((0..700).all(|page| pages.contains(page) == model.contains(&page)));
        }

        #[test]
        fn remove_all_is_the_difference(left in prop::collection::btree_set(0..300usize, 0..80),
                                        right in prop::collection::btree_set(0..300usize, 0..80)) {
            let set = |pages: &BTreeSet<usize>| {
                let mut set = PageSet::default();
                pages.iter().for_each(|&page| set.insert(page..page + 1));
                set
            };
            let mut difference = set(&left);
            difference.remove_all(&set(&right));
            let flat: Vec<_> = difference.runs().flatten().collect();
            prop_assert_eq!(flat, left.difference(&right).copied().collect::<Vec<_>>());
        }
    }
}
