//! One thing that came in on a stream: a stanza, or what is left of one that was refused.

use minidom::Element;

/// One top-level element of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// A whole, well-formed `<presence/>`, `<message/>` or `<iq/>` in `jabber:client`.
    Stanza(Element),
    /// An element that the link did not take; the stream goes on.
    Refused(Refused),
}

/// An element that was skipped to its end tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Its start tag as an empty element, where that much could be kept: enough to answer an IQ.
    pub head: Option<Element>,
    /// Why.
    pub fault: Fault,
}

/// Why the link did not take an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes than a stanza may have.
    TooLarge,
    /// Nested deeper than a stanza may be.
    TooDeep,
    /// More attributes on one element than allowed.
    TooManyAttributes,
    /// More child elements than allowed.
    TooManyChildren,
    /// Well-formed, but not one of the three stanzas.
    NotAStanza,
}
