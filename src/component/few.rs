//! A map for what most users have none or one of: entries in order of their keys, without room to spare.
//!
//! A tree takes memory for eleven as soon as it has one; with a million users that is what counts. One who
//! has many gets a tree all the same, so that a change never moves more than a few entries.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::slice;

/// With more than so many entries it is a tree; with half as many no longer.
const LIST_MAX: usize = 16;

/// A map of mostly few entries.
#[derive(Clone, Debug)]
pub struct Few<K, V>(Kept<K, V>);

#[derive(Clone, Debug)]
enum Kept<K, V> {
    List(Vec<(K, V)>),
    #[expect(
        clippy::box_collection,
        reason = "else the many would pay for the few that have one"
    )]
    Tree(Box<BTreeMap<K, V>>),
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Few<K, V> {
    /// With nothing in it.
    pub(super) const fn new() -> Self {
        Self(Kept::List(Vec::new()))
    }

    /// Takes all away.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Kept::List(list) => list.len(),
            Kept::Tree(tree) => tree.len(),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Ord, V> Few<K, V> {
    /// The value of a key.
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match &self.0 {
            Kept::List(list) => place(list, key).ok().map(|at| &list[at].1),
            Kept::Tree(tree) => tree.get(key),
        }
    }

    /// The same, to change it.
    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match &mut self.0 {
            Kept::List(list) => place(list, key).ok().map(|at| &mut list[at].1),
            Kept::Tree(tree) => tree.get_mut(key),
        }
    }

    /// Whether there is an entry of that key.
    pub(super) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Puts a value in the place of the one that the key had.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match &mut self.0 {
            Kept::List(list) => match place(list, &key) {
                Ok(at) => list[at].1 = value,
                Err(_) if list.len() >= LIST_MAX => {
                    let mut tree: BTreeMap<_, _> = std::mem::take(list).into_iter().collect();
                    tree.insert(key, value);
                    self.0 = Kept::Tree(Box::new(tree));
                }
                Err(at) => {
                    list.reserve_exact(1);
                    list.insert(at, (key, value));
                }
            },
            Kept::Tree(tree) => {
                tree.insert(key, value);
            }
        }
    }

    /// Takes an entry away, where there is one.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let gone = match &mut self.0 {
            Kept::List(list) => place(list, key).ok().map(|at| list.remove(at).1),
            Kept::Tree(tree) => tree.remove(key),
        };
        self.tighten();
        gone
    }

    /// Takes away all but those.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&K, &mut V) -> bool) {
        match &mut self.0 {
            Kept::List(list) => list.retain_mut(|(key, value)| keeps(key, value)),
            Kept::Tree(tree) => tree.retain(keeps),
        }
        self.tighten();
    }

    /// All entries.
    pub(super) fn iter(&self) -> Iter<'_, K, V> {
        match &self.0 {
            Kept::List(list) => Iter::List(list.iter()),
            Kept::Tree(tree) => Iter::Tree(tree.iter()),
        }
    }

    /// The entries from a key on.
    pub(super) fn from<'a>(
        &'a self,
        first: Bound<&K>,
    ) -> impl DoubleEndedIterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let is_before = |key: &K| match first {
            Bound::Included(first) => key < first,
            Bound::Excluded(first) => key <= first,
            Bound::Unbounded => false,
        };
        let (list, tree) = match &self.0 {
            Kept::List(list) => (
                &list[list.partition_point(|(key, _)| is_before(key))..],
                None,
            ),
            Kept::Tree(tree) => (&[][..], Some(tree.range((first, Bound::Unbounded)))),
        };
        Iter::List(list.iter()).chain(tree.into_iter().flatten())
    }

    /// All keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// Changes each value.
    pub(super) fn for_each_mut(&mut self, change: impl FnMut(&mut V)) {
        match &mut self.0 {
            Kept::List(list) => list.iter_mut().map(|(_, value)| value).for_each(change),
            Kept::Tree(tree) => tree.values_mut().for_each(change),
        }
    }

    /// Gives back what is no longer needed.
    fn tighten(&mut self) {
        match &mut self.0 {
            Kept::List(list) => list.shrink_to_fit(),
            Kept::Tree(tree) if tree.len() <= LIST_MAX / 2 => {
                let mut list: Vec<_> = std::mem::take(&mut **tree).into_iter().collect();
                list.shrink_to_fit();
                self.0 = Kept::List(list);
            }
            Kept::Tree(_) => {}
        }
    }
}

/// Where a key is in a list, or belongs.
fn place<K: Borrow<Q>, V, Q: Ord + ?Sized>(list: &[(K, V)], key: &Q) -> Result<usize, usize> {
    list.binary_search_by(|(one, _)| one.borrow().cmp(key))
}

impl<K: Ord, V> FromIterator<(K, V)> for Few<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut few = Self::default();
        for (key, value) in entries {
            few.insert(key, value);
        }
        few
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a Few<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

/// All entries in order.
#[derive(Debug)]
pub enum Iter<'a, K, V> {
    /// Of a list.
    List(slice::Iter<'a, (K, V)>),
    /// Of a tree.
    Tree(btree_map::Iter<'a, K, V>),
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::List(list) => Self::List(list.clone()),
            Self::Tree(tree) => Self::Tree(tree.clone()),
        }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::List(list) => list.next().map(|(key, value)| (key, value)),
            Self::Tree(tree) => tree.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::List(list) => list.size_hint(),
            Self::Tree(tree) => tree.size_hint(),
        }
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::List(list) => list.next_back().map(|(key, value)| (key, value)),
            Self::Tree(tree) => tree.next_back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_a_tree_does(steps in prop::collection::vec((0..8_u8, 0..40_u8, any::<u8>()), 0..200)) {
            let (mut few, mut tree) = (Few::default(), BTreeMap::new());
            for (step, key, value) in steps {
                match step {
                    0..4 => {
                        few.insert(key, value);
                        tree.insert(key, value);
                    }
                    4..6 => prop_assert_eq!(few.remove(&key), tree.remove(&key)),
                    6 => {
                        let keeps = |one: &u8, other: &mut u8| one % 8 != key % 8 || *other < 200;
                        few.retain(keeps);
                        tree.retain(keeps);
                    }
                    _ => {
                        few.for_each_mut(|one| *one /= 2);
                        tree.values_mut().for_each(|one| *one /= 2);
                        prop_assert_eq!(few.get_mut(&key), tree.get_mut(&key));
                    }
                }
                prop_assert_eq!(few.get(&key), tree.get(&key));
                prop_assert!(few.iter().eq(tree.iter()) && few.values().eq(tree.values()));
                prop_assert!(few.iter().rev().eq(tree.iter().rev()));
                for first in [Bound::Included(&key), Bound::Excluded(&key), Bound::Unbounded] {
                    let range = || tree.range((first, Bound::Unbounded));
                    prop_assert!(few.from(first).eq(range()));
                    prop_assert!(few.from(first).rev().eq(range().rev()));
                }
                prop_assert_eq!(few.len(), tree.len());
                match &few.0 {
                    Kept::List(list) => {
                        prop_assert!(list.len() <= LIST_MAX);
                        prop_assert_eq!(list.capacity(), list.len());
                    }
                    Kept::Tree(tree) => prop_assert!(tree.len() > LIST_MAX / 2),
                }
            }
        }
    }
}
