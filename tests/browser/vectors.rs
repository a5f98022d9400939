//! The corpus of texts that try to become more than text: read from `vectors.txt`, where every carrier
//! comes behind every way out of its place.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::support::long;

/// How the families begin of carriers behind ways out.
const CARRIED: &str = "carrier out of";

const TEXT: &str = include_str!("vectors.txt");

/// A text, with the place where a careless page would have put it.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    /// What a script says to be noticed, and the path of an address that is noticed.
    pub(crate) number: usize,
    pub(crate) family: String,
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// Where a page may put a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Body,
    Attribute,
    Single,
    Bare,
    Address,
    Title,
    Style,
    Css,
    Textarea,
    Comment,
    Script,
    String,
    SingleString,
    TemplateString,
    Svg,
    SvgAttribute,
    Cdata,
    JsonAsHtml,
    /// It works nowhere in this browser, or not by itself.
    Nowhere,
}

/// All of them. Those that are noticed by being asked for lead to the site with this authority.
pub(crate) fn all(authority: &str) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (family, place, template) in templates() {
        let number = vectors.len();
        vectors.push(Vector {
            number,
            family,
            place,
            text: fill(&template, number, authority),
        });
    }
    vectors
}

/// All of them in `make test-long`; else each carrier behind two of the ways out, and all others.
pub(crate) fn some(authority: &str) -> Vec<Vector> {
    let mut vectors = all(authority);
    vectors.retain(|one| long() || !one.family.starts_with(CARRIED) || one.number % 5 == 0);
    vectors
}

fn templates() -> Vec<(String, Place, String)> {
    let (mut found, mut carriers, mut ways_out) = (Vec::new(), Vec::new(), Vec::new());
    let mut family = "";
    for line in TEXT.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            family = name;
        } else if line.trim().is_empty() || (family.is_empty() && line.starts_with('#')) {
        } else if family.starts_with("carriers") {
            carriers.push(line);
        } else if family == "ways out" {
            ways_out.push(line);
        } else {
            let (family, place) = family.rsplit_once(" in ").expect("FAMILY in PLACE");
            found.push((family.to_owned(), self::place(place), line.to_owned()));
        }
    }
    for way_out in ways_out {
        let (place, prefix) = way_out.split_once(": ").expect("in PLACE: PREFIX");
        let place = place.trim_start_matches("in ");
        for carrier in &carriers {
            let family = format!("{CARRIED} {place}");
            found.push((family, self::place(place), format!("{prefix}{carrier}")));
        }
    }
    let mut seen = HashSet::new();
    found.retain(|(_, _, template)| seen.insert(template.clone()));
    found
}

fn place(name: &str) -> Place {
    match name {
        "body" => Place::Body,
        "attribute" => Place::Attribute,
        "single" => Place::Single,
        "bare" => Place::Bare,
        "address" => Place::Address,
        "title" => Place::Title,
        "style" => Place::Style,
        "css" => Place::Css,
        "textarea" => Place::Textarea,
        "comment" => Place::Comment,
        "script" => Place::Script,
        "string" => Place::String,
        "single-string" => Place::SingleString,
        "template-string" => Place::TemplateString,
        "svg" => Place::Svg,
        "svg-attribute" => Place::SvgAttribute,
        "cdata" => Place::Cdata,
        "json-as-html" => Place::JsonAsHtml,
        "nowhere" => Place::Nowhere,
        other => panic!("vectors.txt knows no place {other:?}"),
    }
}

fn fill(template: &str, number: usize, authority: &str) -> String {
    let mut text = template
        .replace("{P}", &format!("alert({number})"))
        .replace("{B}", &format!("http://{authority}/{number}"))
        .replace("{b}", &format!("//{authority}/{number}"));
    for (name, character) in [
        ("{tab}", "\t"),
        ("{lf}", "\n"),
        ("{cr}", "\r"),
        ("{ff}", "\u{c}"),
        ("{nbsp}", "\u{a0}"),
        ("{ls}", "\u{2028}"),
        ("{bom}", "\u{feff}"),
        ("{rlo}", "\u{202e}"),
        ("{zwsp}", "\u{200b}"),
    ] {
        text = text.replace(name, character);
    }
    while let Some((before, rest)) = text.split_once("{data:") {
        let (kind, rest) = rest.split_once(':').expect("{data:KIND:TEXT}");
        let (content, after) = rest.rsplit_once('}').expect("{data:KIND:TEXT}");
        let encoded = BASE64_STANDARD.encode(content);
        text = format!("{before}data:{kind};base64,{encoded}{after}");
    }
    text
}

impl Place {
    /// The type and the text of a document that puts `text` there as it is.
    pub(crate) fn careless(self, text: &str) -> Option<(&'static str, String)> {
        const HTML: &str = "text/html; charset=utf-8";
        const SVG: &str = "image/svg+xml";
        let head = "<!doctype html><title>x</title>";
        let xmlns = "xmlns='http://www.w3.org/2000/svg'";
        Some(match self {
            Self::Body => (HTML, format!("{head}<main><p>{text}</p></main>")),
            Self::Attribute => (HTML, format!("{head}<b title=\"{text}\">x</b>")),
            Self::Single => (HTML, format!("{head}<b title='{text}'>x</b>")),
            Self::Bare => (HTML, format!("{head}<b title={text}>x</b>")),
            Self::Address => (HTML, format!("{head}<iframe src=\"{text}\"></iframe>")),
            Self::Title => (HTML, format!("<!doctype html><title>{text}</title>")),
            Self::Style => (HTML, format!("{head}<style>{text}</style>x")),
            Self::Css => (HTML, format!("{head}<b style=\"color:{text}\">x</b>")),
            Self::Textarea => (HTML, format!("{head}<textarea>{text}</textarea>")),
            Self::Comment => (HTML, format!("{head}<!-- {text} -->")),
            Self::Script => (HTML, format!("{head}<script>/* {text} */</script>")),
            Self::String => (HTML, format!("{head}<script>var x=\"{text}\"</script>")),
            Self::SingleString => (HTML, format!("{head}<script>var x='{text}'</script>")),
            Self::TemplateString => (HTML, format!("{head}<script>var x=`{text}`</script>")),
            Self::Svg => (SVG, format!("<svg {xmlns}><text y='9'>{text}</text></svg>")),
            Self::SvgAttribute => (
                SVG,
                format!("<svg {xmlns}><g id=\"{text}\"><text y='9'>x</text></g></svg>"),
            ),
            Self::Cdata => (
                SVG,
                format!("<svg {xmlns}><text y='9'><![CDATA[{text}]]></text></svg>"),
            ),
            Self::JsonAsHtml => (HTML, format!("{{\"status\":\"{text}\"}}")),
            Self::Nowhere => return None,
        })
    }
}
