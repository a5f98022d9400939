//! A result of several rows, page by page: in words for people, and as a table for programs. XEP-0004 §3.4;
//! each page with all around it stays below the 10,000 bytes that every server takes (RFC 6120 §13.12).
//!
//! COMPAT(Gajim 1.7, poezio 0.14, profanity 0.13): none of them shows rows, and Gajim shows nothing at all of
//! a form that has some. They take the first form of a result: so that has the rows as lines.

use minidom::Element;
use xmpp_parsers::ns;

use super::face::cut;
use super::limits::TABLE_BYTES_MAX;
use crate::stanza::compose::{Compose, element};
use crate::stanza::size::written_bytes;

/// Characters of one cell: an address with its ASCII spelling, or what a command was about.
const CELL_CHARS_MAX: usize = 600;

/// A column: its name, what stands above it, and its type.
pub(super) type Column = (&'static str, &'static str, &'static str);

/// A row: as a line for people, and its cells in the order of the columns; missing ones are empty.
pub(super) type Row = (String, Vec<String>);

/// Rows under columns.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) form_type: &'static str,
    pub(super) title: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Row>,
}

/// One page of a table.
#[derive(Debug)]
pub(super) struct Page {
    /// The lines, and the table.
    pub(super) forms: [Element; 2],
    /// Its number and how many there are, from 1.
    pub(super) place: (usize, usize),
}

impl Page {
    /// Whether another one follows.
    pub(super) fn has_next(&self) -> bool {
        self.place.0 < self.place.1
    }
}

impl Table {
    /// The page with a number, from 0; the last one where there are fewer. `None` where there are no rows.
    pub(super) fn page(&self, number: usize) -> Option<Page> {
        let (lines, table) = (self.lines(), self.table());
        let around = written_bytes(&lines, "") + written_bytes(&table, "");
        let room = TABLE_BYTES_MAX.saturating_sub(around);
        let mut pages: Vec<Vec<(Element, Element)>> = Vec::new();
        let mut bytes = 0;
        for (n, (line, row)) in self.rows.iter().enumerate() {
            let (line, item) = (fixed(n, line), self.item(row));
            let size = |element| written_bytes(element, ns::DATA_FORMS);
            let cost = size(&line) + size(&item);
            if pages.is_empty() || bytes + cost > room {
                pages.push(Vec::new());
                bytes = 0;
            }
            bytes += cost;
            pages.last_mut()?.push((line, item));
        }
        let n = pages.len();
        let chosen = number.min(n.checked_sub(1)?);
        let items = pages.into_iter().nth(chosen)?;
        Some(Page {
            forms: items
                .into_iter()
                .fold([lines, table], |[lines, table], (line, item)| {
                    [lines.with(line), table.with(item)]
                }),
            place: (chosen + 1, n),
        })
    }

    fn lines(&self) -> Element {
        let kind = field("FORM_TYPE", Some(self.form_type)).attribute("type", Some("hidden"));
        let mut title = element("title", ns::DATA_FORMS, &[]);
        title.append_text_node(self.title);
        element("x", ns::DATA_FORMS, &[("type", "result")])
            .with(title)
            .with(kind)
    }

    fn table(&self) -> Element {
        let reported = self.columns.iter().fold(
            element("reported", ns::DATA_FORMS, &[]),
            |reported, (var, label, type_)| {
                let head = [("var", *var), ("label", *label), ("type", *type_)];
                reported.with(element("field", ns::DATA_FORMS, &head))
            },
        );
        self.lines().with(reported)
    }

    fn item(&self, row: &[String]) -> Element {
        let cells = self.columns.iter().enumerate();
        cells.fold(
            element("item", ns::DATA_FORMS, &[]),
            |item, (at, (var, ..))| {
                let cell = row.get(at).map(|text| cut(text, CELL_CHARS_MAX));
                item.with(field(var, cell.as_deref()))
            },
        )
    }
}

/// A line. It has a name, for poezio takes all fields without one for the same.
fn fixed(n: usize, line: &str) -> Element {
    let line = cut(line, CELL_CHARS_MAX);
    field(&format!("line-{}", n + 1), Some(&line)).attribute("type", Some("fixed"))
}

fn field(var: &str, value: Option<&str>) -> Element {
    let mut text = element("value", ns::DATA_FORMS, &[]);
    text.append_text_node(value.unwrap_or_default());
    element("field", ns::DATA_FORMS, &[("var", var)]).with(text)
}

#[cfg(test)]
mod tests {
    use minidom::rxml::xml_ncname;

    use super::*;

    const COLUMNS: &[Column] = &[
        ("who", "Who", "text-single"),
        ("what", "What", "text-single"),
    ];

    #[test]
    fn every_row_is_on_one_page_and_every_page_fits() {
        let rows = (0..300).map(|n| ("&".repeat(n), vec![n.to_string(), "<&>".repeat(n)]));
        let table = Table {
            form_type: "urn:x-presence-service:consent:0",
            title: "All of it",
            columns: COLUMNS,
            rows: rows.collect(),
        };
        let (mut found, mut n_lines) = (Vec::new(), 0);
        let mut number = 0;
        loop {
            let page = table.page(number).unwrap();
            assert_eq!(page.place.0, number + 1);
            let [lines, table] = &page.forms;
            assert!(written_bytes(lines, "") + written_bytes(table, "") <= TABLE_BYTES_MAX);
            n_lines += lines
                .children()
                .filter(|one| one.attr(xml_ncname!("type")) == Some("fixed"))
                .count();
            let items = table.children().filter(|child| child.name() == "item");
            let first =
                |item: &Element| item.children().next()?.children().next().map(Element::text);
            found.extend(items.map(|item| first(item).unwrap()));
            if !page.has_next() {
                break;
            }
            number += 1;
        }
        assert!(number > 3);
        let all: Vec<_> = (0..300).map(|n: usize| n.to_string()).collect();
        assert_eq!((found, n_lines), (all, 300));
        assert_eq!(table.page(1000).unwrap().place.0, number + 1);
        let none = Table {
            rows: Vec::new(),
            ..table
        };
        assert!(none.page(0).is_none());
    }
}
