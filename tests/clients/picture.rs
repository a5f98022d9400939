//! A picture of a screen: which colours are where, and what has changed.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::support::Failure;

/// How many pixels of a colour are no accident: fewer may be the edge of something else.
const PIXELS_MIN: usize = 8;

/// Red, green, blue.
pub(crate) type Colour = [u8; 3];

/// A part of the screen, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) x: i64,
    pub(crate) y: i64,
    pub(crate) width: i64,
    pub(crate) height: i64,
}

/// A picture of the whole screen.
#[derive(Debug)]
pub(crate) struct Picture {
    file: PathBuf,
    width: usize,
    pixels: Vec<Colour>,
}

impl Place {
    /// Its middle.
    pub(crate) fn middle(&self) -> (i64, i64) {
        (self.x + self.width / 2, self.y + self.height / 2)
    }
}

impl Picture {
    /// The picture in `file`, whose pixels are `bytes`, row by row.
    pub(crate) fn new(
        file: PathBuf,
        (width, height): (usize, usize),
        bytes: Vec<u8>,
    ) -> Result<Self, Failure> {
        let (pixels, rest) = bytes.as_chunks::<3>();
        if pixels.len() != width * height || !rest.is_empty() {
            return Err(Failure::new(format!("a picture of {} bytes", bytes.len())));
        }
        Ok(Self {
            file,
            width,
            pixels: pixels.to_vec(),
        })
    }

    /// Where it is, as PNG.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The colour of which there is most in this place, among those asked for.
    pub(crate) fn most<T: Copy>(&self, place: Place, colours: &[(Colour, T)]) -> Option<T> {
        let (columns, rows) = (range(place.x, place.width), range(place.y, place.height));
        let lines = self.pixels.chunks_exact(self.width);
        let lines = lines.skip(rows.start).take(rows.len());
        let inside: Vec<&Colour> = lines
            .flat_map(|line| line.iter().skip(columns.start).take(columns.len()))
            .collect();
        colours
            .iter()
            .map(|(colour, meaning)| {
                let pixels = inside.iter().filter(|pixel| **pixel == colour);
                (pixels.count(), *meaning)
            })
            .filter(|(count, _)| *count >= PIXELS_MIN)
            .max_by_key(|(count, _)| *count)
            .map(|(_, meaning)| meaning)
    }

    /// The smallest place that holds all that is not as it is in `other`.
    pub(crate) fn changed(&self, other: &Self) -> Option<Place> {
        let pairs = self.pixels.iter().zip(&other.pixels).enumerate();
        let changed = pairs.filter(|(_, (new, old))| new != old);
        let places: Vec<_> = changed
            .map(|(index, _)| (index % self.width, index / self.width))
            .collect();
        let columns = || places.iter().map(|(x, _)| *x);
        let (left, right) = (columns().min()?, columns().max()?);
        // Row by row: the first is the top, the last the bottom.
        let (top, bottom) = (places.first()?.1, places.last()?.1);
        let number = |pixels: usize| i64::try_from(pixels).ok();
        Some(Place {
            x: number(left)?,
            y: number(top)?,
            width: number(right - left + 1)?,
            height: number(bottom - top + 1)?,
        })
    }
}

/// From here so many pixels; what lies before the edge of the screen is left out.
fn range(from: i64, length: i64) -> Range<usize> {
    let pixel = |at: i64| usize::try_from(at).unwrap_or_default();
    pixel(from)..pixel(from + length)
}
