//! The operator's ceiling: what each level may do at most, on every interface or on one.

use super::check::Check;
use super::key::{CEILINGS, RIGHTS};
use crate::component::authorization::{Ceiling, Cell, Right};

/// The columns of a row.
const LEVELS: &str = "public, known, authorized, trusted";

impl Check<'_> {
    /// The table of design.md §4, with the rows that were typed in place of its own.
    pub(super) fn ceiling(&mut self) -> Ceiling {
        let mut ceiling = Ceiling::default();
        for (section, interface) in CEILINGS {
            for (right, name) in Right::ALL.into_iter().zip(RIGHTS) {
                if let Some(row) = self.row(&format!("{section}.{name}"), right) {
                    ceiling.set(interface, right, row);
                }
            }
        }
        ceiling
    }

    fn row(&mut self, key: &str, right: Right) -> Option<[Cell; 4]> {
        let found = self.keys.get(key)?.clone();
        // Seeing is the answer itself; nobody can be asked first.
        let allowed = Cell::ALL
            .into_iter()
            .filter(|cell| right != Right::See || !matches!(cell, Cell::Ask | Cell::AskByGrant));
        let words: Vec<_> = allowed.map(|cell| format!("{:?}", cell.as_str())).collect();
        let expected = format!("four words, for {LEVELS}, each one of {}", words.join(", "));
        let element = format!("one of {}", words.join(", "));
        let cells = self.elements(&found, &expected, &element, |text| {
            let cell = Cell::parse(text)?;
            words.contains(&format!("{text:?}")).then_some(cell)
        })?;
        let n_typed = found.value.list().map_or(0, |list| list.len());
        if n_typed != 4 {
            self.problem(
                &found,
                &format!("found {n_typed} words, expected {expected}"),
            );
        }
        let cells: Vec<Cell> = cells.into_iter().map(|(_, cell)| cell).collect();
        cells.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_the_rights() {
        assert_eq!(Right::ALL.map(Right::as_str), RIGHTS);
    }
}
