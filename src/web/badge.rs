//! The picture of a status, as SVG: six states and `unknown`, for light and dark pages, in three styles.
//!
//! Texts stand in `<text>` and `<title>` alone and are escaped there. Nothing is fetched and nothing runs.

use std::fmt::Write;

use super::escape::{escape, line};
use super::width;

/// Characters of the label and of the status text in a picture: a line of a page.
const LABEL_CHARS_MAX: usize = 40;
const STATUS_CHARS_MAX: usize = 60;
const HEIGHT: u32 = 20;
/// Bytes of a picture as a rule: room for them is made once.
const SVG_BYTES_EXPECTED: usize = 1600;

/// How it is to look.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Look {
    theme: Theme,
    style: Style,
    label: String,
    hide_label: bool,
    hide_icon: bool,
    hide_show: bool,
    hide_status: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Theme {
    Light,
    Dark,
    /// As the page's reader has it.
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Style {
    Flat,
    Square,
    Pill,
}

impl Look {
    /// Reads a query; what is not known is as if it were not there, for a picture is never an error.
    pub(super) fn read(query: impl Iterator<Item = (String, String)>) -> Self {
        let mut look = Self {
            theme: Theme::Auto,
            style: Style::Flat,
            label: "status".to_owned(),
            hide_label: false,
            hide_icon: false,
            hide_show: false,
            hide_status: false,
        };
        for (name, value) in query {
            match (name.as_str(), value.as_str()) {
                ("theme", "light") => look.theme = Theme::Light,
                ("theme", "dark") => look.theme = Theme::Dark,
                ("theme", "auto") => look.theme = Theme::Auto,
                ("style", "flat") => look.style = Style::Flat,
                ("style", "square") => look.style = Style::Square,
                ("style", "pill") => look.style = Style::Pill,
                ("label", text) => look.label = line(text, LABEL_CHARS_MAX),
                ("hide", list) => {
                    for word in list.split(',').map(str::trim) {
                        match word {
                            "label" => look.hide_label = true,
                            "icon" => look.hide_icon = true,
                            "show" => look.hide_show = true,
                            "status" => look.hide_status = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        look
    }
}

/// The colour of a state on a light and on a dark page; white letters stand out from the first, dark ones from
/// the second.
fn colours(show: &str) -> (&'static str, &'static str) {
    match show {
        "online" => ("#1a7f37", "#57d67b"),
        "chat" => ("#0f766e", "#4fd8c8"),
        "away" => ("#8a5a00", "#f0b84a"),
        "xa" => ("#a04000", "#ff9d5c"),
        "dnd" => ("#b3202c", "#ff8c8c"),
        "offline" => ("#57606a", "#aab4be"),
        _ => ("#6b6b6b", "#c2c2c2"),
    }
}

/// A shape beside the colour: who does not see colours sees it too. Drawn around (0, 0), in 10 pixels.
fn icon(show: &str) -> &'static str {
    match show {
        "online" => "<circle r=\"4.5\" class=\"i\"/>",
        "chat" => "<path d=\"M-5-4h10v7h-5l-3 3v-3h-2z\" class=\"i\"/>",
        "away" => {
            "<path d=\"M0-5a5 5 0 1 0 0 10a5 5 0 1 0 0-10zm-1 2h2v3h3v2h-5z\" class=\"i\" fill-rule=\"evenodd\"/>"
        }
        "xa" => "<path d=\"M3.5-3.6A5 5 0 1 0 3.5 3.6A4.2 4.2 0 0 1 3.5-3.6z\" class=\"i\"/>",
        "dnd" => {
            "<path d=\"M0-5a5 5 0 1 0 0 10a5 5 0 1 0 0-10zm-3.2 4h6.4v2h-6.4z\" class=\"i\" fill-rule=\"evenodd\"/>"
        }
        "offline" => "<circle r=\"3.8\" class=\"o\"/>",
        _ => "<circle r=\"3.8\" class=\"o\" stroke-dasharray=\"2 2\"/>",
    }
}

/// The word for a state, as people say it.
pub(super) fn word(show: &str) -> &'static str {
    match show {
        "online" => "online",
        "chat" => "free to chat",
        "away" => "away",
        "xa" => "away for longer",
        "dnd" => "do not disturb",
        "offline" => "offline",
        _ => "unknown",
    }
}

/// The rules of style for a state.
fn colour(svg: &mut String, theme: Theme, show: &str) {
    let (light, dark) = colours(show);
    let on_light = [
        ".l{fill:#555}.lt{fill:#fff}.v{fill:",
        light,
        "}.vt,.i{fill:#fff}.o{fill:none;stroke:#fff;stroke-width:1.6}",
    ];
    let on_dark = [
        ".l{fill:#30363d}.lt{fill:#e6edf3}.v{fill:",
        dark,
        "}.vt,.i{fill:#0d1117}.o{fill:none;stroke:#0d1117;stroke-width:1.6}",
    ];
    match theme {
        Theme::Light => svg.extend(on_light),
        Theme::Dark => svg.extend(on_dark),
        Theme::Auto => {
            svg.extend(on_light);
            svg.push_str("@media(prefers-color-scheme:dark){");
            svg.extend(on_dark);
            svg.push('}');
        }
    }
}

/// Draws it.
pub(super) fn draw(look: &Look, show: &str, status: Option<&str>) -> String {
    let status = status.map(|status| line(status, STATUS_CHARS_MAX));
    let status = status.filter(|status| !status.is_empty() && !look.hide_status);
    let value = match (look.hide_show, status) {
        (true, Some(status)) => status,
        (true, None) => String::new(),
        (false, Some(status)) => format!("{}: {status}", word(show)),
        (false, None) => word(show).to_owned(),
    };
    let label = if look.hide_label {
        ""
    } else {
        look.label.as_str()
    };
    let title = match label {
        "" => value.clone(),
        label if value.is_empty() => format!("{label}: {}", word(show)),
        label => format!("{label}: {value}"),
    };
    let (title, escaped_label, escaped_value) = (escape(&title), escape(label), escape(&value));
    let label_text = width::of(label);
    let label_width = if label.is_empty() { 0 } else { label_text + 12 };
    let icon_width = if look.hide_icon { 0 } else { 14 };
    let value_text = width::of(&value);
    let gap = if value.is_empty() || look.hide_icon {
        0
    } else {
        2
    };
    let value_width = (12 + icon_width + gap + value_text).max(HEIGHT);
    let total = label_width + value_width;
    let radius = match look.style {
        Style::Flat => 3,
        Style::Square => 0,
        Style::Pill => 10,
    };
    let mut svg = String::with_capacity(SVG_BYTES_EXPECTED);
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {total} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title><style>"
    );
    colour(&mut svg, look.theme, show);
    let _ = write!(
        svg,
        "</style><clipPath id=\"r\"><rect width=\"{total}\" height=\"{HEIGHT}\" \
         rx=\"{radius}\"/></clipPath><g clip-path=\"url(#r)\">"
    );
    if !label.is_empty() {
        let _ = write!(
            svg,
            "<rect width=\"{label_width}\" height=\"{HEIGHT}\" class=\"l\"/>"
        );
    }
    let _ = write!(
        svg,
        "<rect x=\"{label_width}\" width=\"{value_width}\" height=\"{HEIGHT}\" class=\"v\"/></g>\
         <g font-family=\"Verdana,DejaVu Sans,Geneva,sans-serif\" font-size=\"11\">"
    );
    if !label.is_empty() {
        let _ = write!(
            svg,
            "<text x=\"6\" y=\"14\" class=\"lt\" textLength=\"{label_text}\" \
             lengthAdjust=\"spacingAndGlyphs\">{escaped_label}</text>"
        );
    }
    if !value.is_empty() {
        let x = label_width + 6 + icon_width + gap;
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"14\" class=\"vt\" textLength=\"{value_text}\" \
             lengthAdjust=\"spacingAndGlyphs\">{escaped_value}</text>"
        );
    }
    svg.push_str("</g>");
    if !look.hide_icon {
        let x = label_width + 12;
        let _ = write!(svg, "<g transform=\"translate({x} 10)\">{}</g>", icon(show));
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(query: &str) -> Look {
        Look::read(url::form_urlencoded::parse(query.as_bytes()).into_owned())
    }

    #[test]
    fn every_state_is_another_picture_and_well_formed() {
        let mut pictures = std::collections::BTreeSet::new();
        for show in ["online", "chat", "away", "xa", "dnd", "offline", "unknown"] {
            for query in [
                "",
                "theme=light&style=pill",
                "theme=dark&style=square&hide=label,icon",
            ] {
                let svg = draw(&look(query), show, Some("In <b>a</b> \"meeting\" & 'more'"));
                let parsed: Result<minidom::Element, _> = svg.parse();
                assert!(parsed.is_ok(), "{svg}");
                assert!(!svg.contains("<b>"));
                pictures.insert(svg);
            }
        }
        assert_eq!(pictures.len(), 21);
    }

    #[test]
    fn what_is_to_be_hidden_is_not_there() {
        let all = draw(&look("label=Alice"), "dnd", Some("In a meeting"));
        assert!(
            all.contains(">Alice</text>") && all.contains(">do not disturb: In a meeting</text>")
        );
        let bare = draw(
            &look("label=Alice&hide=label,status"),
            "dnd",
            Some("In a meeting"),
        );
        assert!(
            !bare.contains("Alice") && !bare.contains("meeting"),
            "{bare}"
        );
        let text = draw(&look("hide=show,icon"), "dnd", Some("In a meeting"));
        assert!(
            text.contains(">In a meeting</text>") && !text.contains("disturb"),
            "{text}"
        );
    }

    #[test]
    fn a_long_label_is_cut_and_a_strange_one_is_text() {
        let svg = draw(&look(&format!("label={}", "x".repeat(500))), "online", None);
        assert!(svg.contains('…') && svg.len() < 3000);
        let svg = draw(
            &look("label=%3C/title%3E%3Cscript%3Ealert(1)%3C/script%3E%00%1b"),
            "online",
            None,
        );
        assert!(
            !svg.contains("<script") && svg.parse::<minidom::Element>().is_ok(),
            "{svg}"
        );
    }
}
