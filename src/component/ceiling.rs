//! The operator's ceiling: what each level may do at most. design.md §4.

use std::fmt;

use super::authorization::{Interface, Level, Right};

/// One cell of the operator's ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Never.
    No,
    /// After asking her.
    Ask,
    /// Yes.
    Yes,
    /// After asking her, and only where her grant names it.
    AskByGrant,
    /// Only where her grant names it.
    YesByGrant,
}

impl Cell {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::No,
        Self::Ask,
        Self::Yes,
        Self::AskByGrant,
        Self::YesByGrant,
    ];

    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Ask => "ask",
            Self::Yes => "yes",
            Self::AskByGrant => "ask-by-grant",
            Self::YesByGrant => "by-grant",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cell| cell.as_str() == word)
    }
}

/// The operator's ceiling: on each interface for each right a row, for each level below `self` a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling {
    cells: [[[Cell; 4]; 7]; 3],
}

impl Default for Ceiling {
    /// The table of design.md §4. That `see` at the public level also needs visibility `public`, and
    /// below a grant any visibility but `private`, is the user's policy and stands in
    /// [`decide`](super::authorization::decide).
    fn default() -> Self {
        use Cell::{Ask, AskByGrant, No, Yes, YesByGrant};
        let table = [
            // public, known, authorized, trusted
            [Yes, Yes, Yes, Yes],             // see
            [Ask, Ask, Yes, Yes],             // open-url
            [Yes, Yes, Yes, Yes],             // leave-message
            [No, Yes, Yes, Yes],              // notify
            [No, No, YesByGrant, YesByGrant], // set-status
            [No, No, AskByGrant, YesByGrant], // start-module
            [No, No, Ask, Yes],               // activate-client
        ];
        Self { cells: [table; 3] }
    }
}

impl Ceiling {
    /// Sets the row of a right: for public, known, authorized, trusted; on one interface or on all.
    pub fn set(&mut self, interface: Option<Interface>, right: Right, row: [Cell; 4]) {
        for (index, table) in self.cells.iter_mut().enumerate() {
            if interface.is_none_or(|one| one as usize == index) {
                table[right as usize] = row;
            }
        }
    }

    /// The cell of a right at a level on an interface; at `self` there is no ceiling.
    #[must_use]
    pub fn cell(&self, interface: Interface, right: Right, level: Level) -> Cell {
        let column = match level {
            Level::Public => 0,
            Level::Known => 1,
            Level::Authorized => 2,
            Level::Trusted => 3,
            Level::Own => return Cell::Yes,
        };
        self.cells[interface as usize][right as usize][column]
    }
}

impl fmt::Display for Ceiling {
    /// Writes it as a table for people; one for each interface only where they differ.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [public, dedicated, http] = &self.cells;
        if public == dedicated && public == http {
            return table(f, "what watchers may do at most", public);
        }
        table(f, "what watchers may do at most over the server", public)?;
        table(
            f,
            "what parties may do at most on the dedicated link",
            dedicated,
        )
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, rows: &[[Cell; 4]; 7]) -> fmt::Result {
    writeln!(f, "{title}:")?;
    let levels = [
        Level::Public,
        Level::Known,
        Level::Authorized,
        Level::Trusted,
    ];
    line(f, "", levels.map(Level::as_str))?;
    Right::ALL
        .iter()
        .zip(rows)
        .try_for_each(|(right, row)| line(f, right.as_str(), row.map(Cell::as_str)))
}

fn line(f: &mut fmt::Formatter<'_>, head: &str, words: [&str; 4]) -> fmt::Result {
    let [one, two, three, last] = words;
    writeln!(f, "  {head:16}{one:14}{two:14}{three:14}{last}")
}
