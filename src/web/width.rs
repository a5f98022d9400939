//! How wide a text is in a badge: by a small table of Verdana and its like at 11 px, for no font can be asked.
//!
//! What is wrong by it is made right by the picture: it tells its text how long it is (`textLength`).

/// Widths of the printable characters of ASCII, from the space on, in tenths of a pixel.
const ASCII: [u16; 95] = [
    39, 43, 50, 90, 70, 118, 80, 30, 50, 50, 70, 90, 40, 50, 40, 50, 70, 70, 70, 70, 70, 70, 70,
    70, 70, 70, 50, 50, 90, 90, 90, 60, 110, 75, 75, 77, 85, 70, 63, 85, 83, 46, 50, 76, 61, 93,
    82, 87, 66, 87, 76, 75, 68, 81, 75, 109, 75, 68, 75, 50, 50, 50, 90, 70, 70, 66, 69, 57, 69,
    66, 39, 69, 70, 30, 38, 65, 30, 107, 70, 67, 69, 69, 47, 57, 43, 70, 65, 90, 65, 65, 58, 70,
    50, 70, 90,
];

/// Tenths of a pixel of one character.
fn tenths(c: char) -> u32 {
    let code = u32::from(c);
    match code {
        0x20..=0x7E => ASCII[(code - 0x20) as usize].into(),
        // What combines with the letter before it, or joins two.
        0x300..=0x36F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        // East Asian letters and pictures are square.
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFF00..=0xFF60 => {
            110
        }
        0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0x20000..=0x3FFFF => 130,
        _ => 72,
    }
}

/// Whole pixels of a text.
pub(super) fn of(text: &str) -> u32 {
    text.chars().map(tenths).sum::<u32>().div_ceil(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_letters_are_wider_than_narrow_ones() {
        assert_eq!(of(""), 0);
        assert!(of("iiii") < of("mmmm"));
        assert!(of("日本") > of("ab"));
        assert_eq!(of("e\u{301}"), of("e"));
    }
}
