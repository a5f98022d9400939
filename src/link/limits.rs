//! How much of a stanza the link takes.

/// Bytes of an inbound stanza, and of an outbound one. What servers pass on between their users is
/// smaller (ejabberd's and Prosody's client limits are 64–256 KiB), and all that we read is forms.
pub(crate) const STANZA_BYTES: usize = 64 * 1024;

/// Bytes up to which every conforming server must take a stanza (RFC 6120 §13.12 item 4): what the
/// core keeps its own stanzas below. The seal only refuses what is over `STANZA_BYTES`.
pub const OUTBOUND_BYTES: usize = 10_000;

/// Elements inside one another, the stanza itself counted: the deepest known use, a forwarded stanza with
/// a form in an archive result, needs ten. The cost of parsing grows with the square of it.
pub(crate) const DEPTH: usize = 32;

/// Attributes on one element, namespace declarations not counted. No known payload has 20.
pub(crate) const ATTRIBUTES: usize = 64;

/// Namespace declarations on one element.
pub(crate) const DECLARATIONS: usize = 32;

/// Child elements of one element: the largest is a list of rooms or contacts, which comes in pages.
pub(crate) const CHILDREN: u32 = 1_024;

/// Bytes of the peer's stream header. Prosody's has 200.
pub(crate) const HEADER_BYTES: usize = 8 * 1024;

/// Bytes of an `id` of ours; one that answers a request is as long as the requester made it.
pub(crate) const ID_BYTES: usize = 128;

/// Bytes that one look at the socket may take: what arrives during a burst is read in few calls.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes that wait to be written, at most. Whoever sends stops reading long before; this is what
/// keeps a stalled server from taking all memory if they do not.
pub const QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// The limits of inbound stanzas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// See [`STANZA_BYTES`].
    pub(crate) bytes: usize,
    /// See [`DEPTH`].
    pub(crate) depth: usize,
    /// See [`ATTRIBUTES`].
    pub(crate) attributes: usize,
    /// See [`DECLARATIONS`].
    pub(crate) declarations: usize,
    /// See [`CHILDREN`].
    pub(crate) children: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: STANZA_BYTES,
            depth: DEPTH,
            attributes: ATTRIBUTES,
            declarations: DECLARATIONS,
            children: CHILDREN,
        }
    }
}
