//! What may stand where a value is not known beforehand: placeholders in attributes and text.

use std::collections::BTreeMap;

/// What placeholders have stood for so far.
pub(crate) type Captures = BTreeMap<String, String>;

/// A text with placeholders, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `{none}`: the attribute must be absent.
    None,
    /// `{has a; b}`: both words occur, in any order.
    Has(Vec<Vec<Token>>),
    /// `{not a}`: there, but not this.
    Not(Vec<Token>),
    /// Everything else.
    Text(Vec<Token>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Itself.
    Literal(String),
    /// `{any}`: one character or more.
    Any,
    /// `{opt}`: anything, or nothing at all.
    Optional,
    /// `{line}`: one character or more, none of them a control character.
    Line,
    /// `{name}`: one character or more at first, the same again later.
    Name(String),
}

impl Pattern {
    /// Reads a text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "{none}" {
            return Ok(Self::None);
        }
        if let Some(words) = text
            .strip_prefix("{has ")
            .and_then(|text| text.strip_suffix('}'))
        {
            let words = words.split(';').map(|word| tokens(word.trim()));
            return words.collect::<Result<_, _>>().map(Self::Has);
        }
        if let Some(other) = text
            .strip_prefix("{not ")
            .and_then(|text| text.strip_suffix('}'))
        {
            return tokens(other).map(Self::Not);
        }
        tokens(text).map(Self::Text)
    }

    /// Whether `text` (absent: the attribute is) fits, and what the placeholders then stand for.
    pub(crate) fn matches(&self, text: Option<&str>, captures: &Captures) -> Option<Captures> {
        match (self, text) {
            (Self::None, text) => text.is_none().then(|| captures.clone()),
            (Self::Has(words), Some(text)) => words
                .iter()
                .all(|word| text.contains(&instance(word, captures)))
                .then(|| captures.clone()),
            (Self::Not(other), Some(text)) => {
                (text != instance(other, captures)).then(|| captures.clone())
            }
            (Self::Text(tokens), Some(text)) => fit(tokens, text, captures),
            (Self::Text(tokens), None) => {
                (tokens.as_slice() == [Token::Optional]).then(|| captures.clone())
            }
            (Self::Has(_) | Self::Not(_), None) => None,
        }
    }

    /// A text that fits.
    pub(crate) fn instance(&self, captures: &Captures) -> Option<String> {
        match self {
            Self::None => None,
            Self::Has(words) => Some(
                words
                    .iter()
                    .map(|word| instance(word, captures))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            Self::Not(other) => Some(format!("not-{}", instance(other, captures))),
            Self::Text(tokens) if tokens.as_slice() == [Token::Optional] => None,
            Self::Text(tokens) => Some(instance(tokens, captures)),
        }
    }
}

/// Replaces each `{name}` by what it stands for; other placeholders are refused.
pub(crate) fn fill(text: &str, captures: &Captures) -> Result<String, String> {
    tokens(text)?
        .into_iter()
        .map(|token| match token {
            Token::Literal(literal) => Ok(literal),
            Token::Name(name) => captures
                .get(&name)
                .cloned()
                .ok_or_else(|| format!("{{{name}}} stands for nothing yet")),
            other => Err(format!("{other:?} cannot be sent")),
        })
        .collect()
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        if start > 0 {
            tokens.push(Token::Literal(rest[..start].to_owned()));
        }
        let inner = &rest[start + 1..];
        let end = inner
            .find('}')
            .ok_or_else(|| format!("no closing brace in {text:?}"))?;
        tokens.push(match &inner[..end] {
            "any" => Token::Any,
            "opt" => Token::Optional,
            "line" => Token::Line,
            name if is_name(name) => Token::Name(name.to_owned()),
            // A namespace: the name behind it is in Clark notation, and means itself.
            namespace if namespace.contains(':') => Token::Literal(format!("{{{namespace}}}")),
            other => return Err(format!("unknown placeholder {{{other}}}")),
        });
        rest = &inner[end + 1..];
    }
    if !rest.is_empty() {
        tokens.push(Token::Literal(rest.to_owned()));
    }
    Ok(tokens)
}

fn is_name(word: &str) -> bool {
    word != "none"
        && !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn fit(tokens: &[Token], text: &str, captures: &Captures) -> Option<Captures> {
    let Some((token, tokens)) = tokens.split_first() else {
        return text.is_empty().then(|| captures.clone());
    };
    let ends = || {
        text.char_indices()
            .map(|(at, _)| at)
            .skip(1)
            .chain((!text.is_empty()).then_some(text.len()))
    };
    match token {
        Token::Literal(literal) => fit(tokens, text.strip_prefix(literal.as_str())?, captures),
        Token::Any => ends().find_map(|end| fit(tokens, &text[end..], captures)),
        Token::Optional => std::iter::once(0)
            .chain(ends())
            .find_map(|end| fit(tokens, &text[end..], captures)),
        Token::Line => ends()
            .take_while(|end| !text[..*end].contains(char::is_control))
            .find_map(|end| fit(tokens, &text[end..], captures)),
        Token::Name(name) => match captures.get(name) {
            Some(value) => fit(tokens, text.strip_prefix(value.as_str())?, captures),
            None => ends().find_map(|end| {
                let mut captures = captures.clone();
                captures.insert(name.clone(), text[..end].to_owned());
                fit(tokens, &text[end..], &captures)
            }),
        },
    }
}

fn instance(tokens: &[Token], captures: &Captures) -> String {
    tokens
        .iter()
        .map(|token| match token {
            Token::Literal(literal) => literal.clone(),
            Token::Any | Token::Line => "x".to_owned(),
            Token::Optional => String::new(),
            Token::Name(name) => captures
                .get(name)
                .cloned()
                .unwrap_or_else(|| format!("a-{name}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Captures, Pattern, fill};

    fn matches(pattern: &str, text: &str) -> Option<Captures> {
        Pattern::parse(pattern)
            .expect("a pattern")
            .matches(Some(text), &Captures::new())
    }

    #[test]
    fn placeholders_stand_for_what_they_say() {
        for (pattern, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("{any}", "", false),
            ("{any}", "ä", true),
            ("a{opt}", "a", true),
            ("a{opt}", "a/b", true),
            ("a{any}c{any}", "abcbcd", true),
            ("{line}", "one\ntwo", false),
            ("{line}", "one", true),
            ("{x}-{x}", "ab-ab", true),
            ("{x}-{x}", "ab-ac", false),
            ("{has one; two}", "two, one", true),
            ("{has one; two}", "one", false),
            ("{none}", "", false),
            ("{not a}", "a", false),
            ("{not a}", "b", true),
            ("{urn:a}b", "{urn:a}b", true),
            ("{urn:a}b", "b", false),
        ] {
            assert_eq!(matches(pattern, text).is_some(), fits, "{pattern} {text:?}");
        }
    }

    #[test]
    fn a_name_keeps_what_it_stood_for() {
        let captures = matches("id-{id}", "id-7").expect("it fits");
        assert_eq!(fill("<{id}>", &captures), Ok("<7>".to_owned()));
        let again = Pattern::parse("{id}").expect("a pattern");
        assert!(again.matches(Some("8"), &captures).is_none());
        assert!(fill("{other}", &captures).is_err());
    }

    #[test]
    fn what_is_no_placeholder_is_refused() {
        assert!(Pattern::parse("{Any}").is_err());
        assert!(Pattern::parse("{any").is_err());
        assert!(Pattern::parse("{two words}").is_err());
    }
}
