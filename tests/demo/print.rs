//! How the story is told: prose in lines of one width, stanzas indented, colours on a terminal only.
//! It knows nothing of what happens.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use minidom::Element;

/// Columns of the prose, and of a stanza before its attributes take lines of their own.
const WIDTH: usize = 88;

/// What servers add to stanzas for their own purposes; it would only hide what matters here.
const SERVERS_OWN: [&str; 6] = [
    "urn:xmpp:sid:0",
    "urn:xmpp:mam:tmp",
    "urn:xmpp:hints",
    "vcard-temp:x:update",
    "http://jabber.org/protocol/caps",
    "jabber:iq:roster",
];

/// Which way a stanza goes.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Sends,
    Receives,
}

/// The one who tells the story.
pub(crate) struct Teller {
    colours: bool,
    n_steps: usize,
    /// The headline of the step that is being told.
    pub(crate) step: String,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self {
            colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            n_steps: 0,
            step: "setting the stage".to_owned(),
        }
    }

    /// The title of the whole.
    pub(crate) fn title(&self, text: &str) {
        println!("\n{}", self.paint("1", text));
    }

    /// The next step begins.
    pub(crate) fn step(&mut self, headline: &str) {
        self.n_steps += 1;
        self.step = format!("{}. {headline}", self.n_steps);
        println!("\n{}", self.paint("1;36", &self.step));
    }

    /// A paragraph.
    pub(crate) fn say(&self, text: &str) {
        for line in wrapped(text, WIDTH - 3) {
            println!("   {line}");
        }
    }

    /// What has been shown to be true.
    pub(crate) fn proved(&self, text: &str) {
        let mut mark = self.paint("1;32", "✓");
        for line in wrapped(text, WIDTH - 5) {
            println!("   {mark} {line}");
            mark = " ".to_owned();
        }
    }

    /// A stanza on its way.
    pub(crate) fn stanza(&self, who: &str, way: Way, stanza: &Element) {
        let (arrow, verb, colour) = match way {
            Way::Sends => ("→", "sends", "33"),
            Way::Receives => ("←", "receives", "35"),
        };
        println!(
            "     {}",
            self.paint(colour, &format!("{arrow} {who} {verb}"))
        );
        let mut text = String::new();
        write_element(&mut text, stanza, "jabber:client", 7);
        for line in text.lines() {
            println!("{}", self.paint("2", line));
        }
    }

    /// What somebody does or gets, in words that are taken from a stanza.
    pub(crate) fn brief(&self, who: &str, way: Way, verb: &str, text: &str) {
        let (mut arrow, colour) = match way {
            Way::Sends => ("→", "33"),
            Way::Receives => ("←", "35"),
        };
        let told = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect::<Vec<_>>()
            .join(" / ");
        for line in wrapped(&format!("{who} {verb}: {told}"), WIDTH - 7) {
            println!("     {} {line}", self.paint(colour, arrow));
            arrow = " ";
        }
    }

    /// Lines as they are, such as a file or a command to type.
    pub(crate) fn lines(&self, text: &str) {
        for line in text.lines() {
            let shown = format!("       {}", self.paint("1", line));
            println!("{}", if line.is_empty() { "" } else { &shown });
        }
    }

    /// The end of a story that did not go as it must.
    pub(crate) fn failed(&self, reason: &str) {
        println!();
        println!(
            "{}",
            self.paint(
                "1;31",
                &format!("✗ It went wrong in the step “{}”:", self.step)
            )
        );
        println!("{reason}");
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("never empty");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Writes an element with its children below it, each in a line of its own, and long text in lines;
/// `xmlns` only where it is another one than around it.
fn write_element(text: &mut String, element: &Element, around: &str, indent: usize) {
    let pad = " ".repeat(indent);
    let mut attributes = Vec::new();
    if element.ns() != around {
        attributes.push(format!("xmlns='{}'", element.ns()));
    }
    let value = |name: &str| {
        element
            .attr(name)
            .map(|value| format!("{name}='{}'", escaped(value)))
    };
    let first = ["type", "from", "to", "id", "node", "var", "name"];
    attributes.extend(first.into_iter().filter_map(value));
    let mut others: Vec<String> = element
        .attrs()
        .iter()
        .map(|((_, name), value)| (name.to_string(), value))
        .filter(|(name, _)| !first.contains(&name.as_str()) && name != "lang")
        .map(|(name, value)| format!("{name}='{}'", escaped(value)))
        .collect();
    others.sort_unstable();
    attributes.append(&mut others);

    let name = element.name();
    let _ = write!(text, "{pad}<{name}");
    let length: usize = attributes.iter().map(|one| one.chars().count() + 1).sum();
    let glue = if indent + name.len() + length + 3 > WIDTH {
        format!("\n{pad}  {}", " ".repeat(name.len()))
    } else {
        " ".to_owned()
    };
    for (n, attribute) in attributes.iter().enumerate() {
        let _ = write!(text, "{}{attribute}", if n == 0 { " " } else { &glue });
    }
    let shown: Vec<_> = element
        .children()
        .filter(|child| !SERVERS_OWN.contains(&child.ns().as_str()))
        .collect();
    let words = element.text();
    if shown.is_empty() && words.is_empty() {
        text.push_str("/>\n");
    } else if shown.is_empty() {
        let words = in_text(&words);
        if words.contains('\n') || indent + length + words.chars().count() + 2 * name.len() > WIDTH
        {
            text.push_str(">\n");
            for line in words
                .lines()
                .flat_map(|line| wrapped(line, WIDTH - indent - 2))
            {
                let _ = writeln!(text, "{pad}  {line}");
            }
            let _ = writeln!(text, "{pad}</{name}>");
        } else {
            let _ = writeln!(text, ">{words}</{name}>");
        }
    } else if shown.len() == 1 && is_leaf(shown[0]) && words.is_empty() {
        // A field with its value reads best in one line.
        let mut inner = String::new();
        write_element(&mut inner, shown[0], &element.ns(), 0);
        if inner.lines().count() == 1 && indent + length + inner.len() + 2 * name.len() + 5 <= WIDTH
        {
            let _ = writeln!(text, ">{}</{name}>", inner.trim_end());
        } else {
            text.push_str(">\n");
            write_element(text, shown[0], &element.ns(), indent + 2);
            let _ = writeln!(text, "{pad}</{name}>");
        }
    } else {
        text.push_str(">\n");
        for child in shown {
            write_element(text, child, &element.ns(), indent + 2);
        }
        let _ = writeln!(text, "{pad}</{name}>");
    }
}

fn is_leaf(element: &Element) -> bool {
    element.children().next().is_none()
}

fn in_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn escaped(text: &str) -> String {
    in_text(text).replace('\'', "&apos;")
}
