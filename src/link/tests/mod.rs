//! Tests of the link as a whole, and those too long for the bottom of a file.

mod seal;
mod seal_property;
