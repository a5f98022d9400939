//! An address as a person is to see it: beside letters that can be mistaken stands the ASCII spelling.
//!
//! Nodeprep and nameprep fold case and width, not look-alikes: a Cyrillic `а` in a Latin name is another
//! address and looks the same. Mixing scripts is only one way to do it (`сосо` is all Cyrillic), so every
//! part that is not ASCII is spelled out; no table of scripts has to be right for that.

use idna::punycode;

use super::Bare;

impl Bare {
    /// The address with the A-label of each label that is not ASCII (RFC 3492), and of a localpart that is
    /// not; `None` where all of it is ASCII. For the eye only: as an address it is another one.
    #[must_use]
    pub fn ascii(&self) -> Option<String> {
        if self.as_str().is_ascii() {
            return None;
        }
        let domain: Vec<_> = self.domain().split('.').map(label).collect();
        let domain = domain.join(".");
        Some(match self.local() {
            Some(local) => format!("{}@{domain}", label(local)),
            None => domain,
        })
    }

    /// The address for a person, with [`Self::ascii`] beside it where that differs.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.ascii() {
            None => self.as_str().to_owned(),
            Some(ascii) => format!("{self} ({ascii})"),
        }
    }
}

fn label(text: &str) -> String {
    match punycode::encode_str(text) {
        Some(encoded) if !text.is_ascii() => format!("xn--{encoded}"),
        // It cannot be encoded only where it is longer than any part of an address may be.
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Bare;

    fn shown(text: &str) -> String {
        Bare::parse(text).unwrap().shown()
    }

    #[test]
    fn plain_addresses_are_shown_as_they_are() {
        for plain in ["bot@remote.example", "remote.example", r"d\27a@x.example"] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn what_is_not_ascii_is_spelled_out_part_by_part() {
        for (address, ascii) in [
            ("bob@bücher.example", "bob@xn--bcher-kva.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("аlice@remote.example", "xn--lice-43d@remote.example"),
        ] {
            assert_eq!(shown(address), format!("{address} ({ascii})"));
        }
    }

    /// Every name with some of its letters replaced by ones that look the same is flagged, and no two
    /// of them look the same any more.
    #[test]
    fn no_look_alike_goes_unnoticed() {
        let pairs = [
            ('a', 'а'),
            ('c', 'с'),
            ('e', 'е'),
            ('o', 'о'),
            ('p', 'р'),
            ('x', 'х'),
            ('y', 'у'),
            ('i', 'і'),
            ('s', 'ѕ'),
            ('j', 'ј'),
        ];
        let names = [
            "paycox", "peace", "scope", "coexist", "apex", "isoscape", "expose",
        ];
        let (mut n, mut spellings) = (0, HashSet::new());
        for name in names {
            let places: Vec<_> = name
                .char_indices()
                .filter_map(|(at, c)| Some((at, pairs.iter().find(|(latin, _)| *latin == c)?.1)))
                .collect();
            for mask in 1..(1_u32 << places.len()) {
                let mut text: Vec<char> = name.chars().collect();
                for (bit, (at, other)) in places.iter().enumerate() {
                    if mask & (1 << bit) != 0 {
                        text[*at] = *other;
                    }
                }
                let text: String = text.into_iter().collect();
                for address in [
                    format!("{text}@remote.example"),
                    format!("bob@{text}.example"),
                ] {
                    let ascii = Bare::parse(&address).unwrap().ascii().unwrap();
                    assert!(
                        ascii.is_ascii() && ascii.contains("xn--"),
                        "{address}: {ascii}"
                    );
                    assert!(spellings.insert(ascii), "{address}");
                    n += 1;
                }
            }
        }
        assert!(n >= 1000, "{n} pairs");
    }
}
