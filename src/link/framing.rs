//! Cuts the bytes of a stream into stanzas, under hard limits.
//!
//! A stanza that is over a limit is skipped to its end tag without being kept, and the stream goes on. A
//! stanza that cannot be XML ends the stream, because what follows it may be anything. Not here: the
//! strict check of what is kept (`parse`), and what an element means (`stream`).
//!
//! What is skipped is checked for what would make its end doubtful (tags, references, UTF-8, characters,
//! everything XMPP forbids, and end tags that match down to the depth limit), not for the rest.

use super::characters::Characters;
use super::error::Violation;
use super::lexer::{Lexer, Name, StartTag, Token};
use super::limits::{CHUNK_BYTES, HEADER_BYTES, Limits};
use crate::stanza::Fault;
use memchr::memchr;

/// One piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// The stream header, with an XML declaration if there is one.
    Header(&'a [u8]),
    /// One top-level element from `<` to `>`.
    Element(&'a [u8]),
    /// One top-level element that was over a limit.
    Skipped {
        /// Its start tag, if that was within the size limit.
        head: Option<Vec<u8>>,
        /// Which limit.
        fault: Fault,
    },
    /// `</stream:stream>`.
    End,
}

/// The framer; see the module's head.
#[derive(Debug)]
pub(crate) struct Framer {
    limits: Limits,
    /// Bytes of the unfinished frame, then bytes not yet looked at; of constant size.
    buffer: Box<[u8]>,
    start: usize,
    scanned: usize,
    end: usize,
    lexer: Lexer,
    phase: Phase,
    /// Open elements below the stream's root.
    depth: usize,
    /// Of the open elements, as many as the depth limit allows.
    open: Vec<Open>,
    /// Length of the start tag of the unfinished stanza, once it is there.
    head: Option<usize>,
    skip: Option<Skip>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing but white space came.
    Start,
    /// In the XML declaration.
    Declaration,
    /// Before the end of the stream header.
    Header,
    /// In the stream, whose header has this name.
    Stream(Name),
    /// After `</stream:stream>`.
    Ended,
}

#[derive(Debug)]
struct Open {
    name: Name,
    children: u32,
}

#[derive(Debug)]
struct Skip {
    head: Option<Vec<u8>>,
    fault: Fault,
    characters: Characters,
}

impl Framer {
    /// A framer before the stream header.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            // Zeroed pages, so it costs memory only where it is used.
            buffer: vec![0; limits.bytes.max(HEADER_BYTES) + CHUNK_BYTES].into_boxed_slice(),
            start: 0,
            scanned: 0,
            end: 0,
            lexer: Lexer::default(),
            phase: Phase::Start,
            depth: 0,
            open: Vec::with_capacity(limits.depth),
            head: None,
            skip: None,
        }
    }

    /// Where the next bytes belong; empty as long as enough has come that was not yet asked for.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        let unseen = self.end - self.scanned;
        let room = CHUNK_BYTES.saturating_sub(unseen);
        // Only where it must be, so that no byte is moved twice for the same frame.
        if self.start > 0 && self.buffer.len() - self.end < room {
            self.buffer.copy_within(self.start..self.end, 0);
            self.scanned -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..][..room]
    }

    /// Takes the first `n` bytes of [`Self::space`] as come.
    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n;
        assert!(
            self.end <= self.buffer.len(),
            "more than there was space for"
        );
    }

    /// Forgets what has come, after a violation.
    pub(super) fn discard(&mut self) {
        (self.start, self.scanned, self.end) = (0, 0, 0);
    }

    /// What has come of the next stanza, where nothing of it was looked at yet and it begins as one; for
    /// a reader that may take it whole by [`Self::pass`].
    pub(super) fn fresh(&mut self) -> &[u8] {
        let bytes = &self.buffer[self.scanned..self.end];
        let at_start = matches!(self.phase, Phase::Stream(_))
            && self.depth == 0
            && self.skip.is_none()
            && self.lexer.is_between_tags();
        if at_start && bytes.first() == Some(&b'<') {
            bytes
        } else {
            &[]
        }
    }

    /// Takes the first `n` bytes of [`Self::fresh`] as a whole stanza.
    pub(super) fn pass(&mut self, n: usize) {
        self.scanned += n;
        self.start = self.scanned;
    }

    /// The limits that it holds.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The next frame of what has come. After a violation nothing more may be asked.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, Violation> {
        match self.phase {
            Phase::Start | Phase::Declaration | Phase::Header => self.header(),
            Phase::Stream(root) => self.element(root),
            Phase::Ended => Ok(None),
        }
    }

    fn header(&mut self) -> Result<Option<Frame<'_>>, Violation> {
        let complete = self.header_end()?;
        if self.scanned - self.start > HEADER_BYTES {
            return Err(Violation {
                condition: "policy-violation",
                detail: format!("a stream header of more than {HEADER_BYTES} bytes").into(),
            });
        }
        if !complete {
            return Ok(None);
        }
        let start = std::mem::replace(&mut self.start, self.scanned);
        Ok(Some(Frame::Header(&self.buffer[start..self.scanned])))
    }

    /// Reads on in the prolog; true at the end of the header.
    fn header_end(&mut self) -> Result<bool, Violation> {
        if self.phase == Phase::Start {
            let more = self.skip_blank()?;
            self.start = self.scanned;
            if !more {
                return Ok(false);
            }
            match self.buffer[self.scanned..self.end] {
                [_] => return Ok(false),
                [_, b'?', ..] => self.phase = Phase::Declaration,
                _ => self.phase = Phase::Header,
            }
        }
        if self.phase == Phase::Declaration {
            // No `>` may stand in a declaration but at its end; the parser checks the rest.
            let Some(at) = memchr(b'>', &self.buffer[self.scanned..self.end]) else {
                self.scanned = self.end;
                return Ok(false);
            };
            self.scanned += at + 1;
            self.phase = Phase::Header;
        }
        while self.scanned < self.end {
            if self.lexer.is_between_tags() && !self.skip_blank()? {
                break;
            }
            match self.lex()? {
                None => (),
                Some(Token::Start(StartTag {
                    name, empty: false, ..
                })) => {
                    self.phase = Phase::Stream(name);
                    return Ok(true);
                }
                Some(_) => return Err(Violation::bad_format("no stream header")),
            }
        }
        Ok(false)
    }

    fn element(&mut self, root: Name) -> Result<Option<Frame<'_>>, Violation> {
        loop {
            if self.depth == 0 && self.lexer.is_between_tags() {
                let more = self.skip_blank()?;
                self.start = self.scanned;
                if !more {
                    return Ok(None);
                }
            }
            let token = self.lex()?;
            if self.skip.is_none() && self.scanned - self.start > self.limits.bytes {
                self.refuse(Fault::TooLarge)?;
            }
            let complete = match token {
                None => return Ok(None),
                Some(Token::Start(tag)) => self.open(tag)?,
                Some(Token::End(name)) if self.depth == 0 => {
                    matching(name == root)?;
                    self.phase = Phase::Ended;
                    return Ok(Some(Frame::End));
                }
                Some(Token::End(name)) => self.close(name)?,
            };
            if complete {
                break;
            }
        }
        self.head = None;
        let start = std::mem::replace(&mut self.start, self.scanned);
        Ok(Some(match self.skip.take() {
            Some(Skip { head, fault, .. }) => Frame::Skipped { head, fault },
            None => Frame::Element(&self.buffer[start..self.scanned]),
        }))
    }

    /// Passes white space between elements; false if there is nothing else.
    fn skip_blank(&mut self) -> Result<bool, Violation> {
        let bytes = &self.buffer[self.scanned..self.end];
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let Some(at) = bytes.iter().position(|byte| !blank(byte)) else {
            self.scanned = self.end;
            return Ok(false);
        };
        if bytes[at] != b'<' {
            return Err(Violation::bad_format("text outside of stanzas"));
        }
        self.scanned += at;
        Ok(true)
    }

    /// Runs the lexer to its next token, and past what is skipped.
    fn lex(&mut self) -> Result<Option<Token>, Violation> {
        let (read, token) = self.lexer.advance(&self.buffer[self.scanned..self.end])?;
        let from = self.scanned;
        self.scanned += read;
        if let Some(skip) = &mut self.skip {
            skip.characters.check(&self.buffer[from..self.scanned])?;
            self.start = self.scanned;
        }
        Ok(token)
    }

    /// Takes note of a start tag; true if it is a whole stanza.
    fn open(&mut self, tag: StartTag) -> Result<bool, Violation> {
        if self.depth == 0 && self.skip.is_none() {
            self.head = Some(self.scanned - self.start);
        }
        let children = match self.open.last_mut() {
            Some(parent) if self.depth <= self.limits.depth => {
                parent.children = parent.children.saturating_add(1);
                parent.children
            }
            _ => 0,
        };
        if tag.attributes > self.limits.attributes || tag.declarations > self.limits.declarations {
            self.refuse(Fault::TooManyAttributes)?;
        }
        if self.depth >= self.limits.depth {
            self.refuse(Fault::TooDeep)?;
        }
        if children > self.limits.children {
            self.refuse(Fault::TooManyChildren)?;
        }
        if tag.empty {
            return Ok(self.depth == 0);
        }
        if self.depth < self.limits.depth {
            self.open.push(Open {
                name: tag.name,
                children: 0,
            });
        }
        self.depth += 1;
        Ok(false)
    }

    /// Takes note of an end tag; true if it ends the stanza.
    fn close(&mut self, name: Name) -> Result<bool, Violation> {
        self.depth -= 1;
        if self.depth < self.limits.depth {
            let open = self
                .open
                .pop()
                .expect("one for each level within the limit");
            matching(open.name == name)?;
        }
        Ok(self.depth == 0)
    }

    /// Begins to skip; the first fault is the one that is told.
    fn refuse(&mut self, fault: Fault) -> Result<(), Violation> {
        if self.skip.is_some() {
            return Ok(());
        }
        let kept = &self.buffer[self.start..self.scanned];
        let mut characters = Characters::default();
        characters.check(kept)?;
        self.skip = Some(Skip {
            head: self.head.map(|head| kept[..head].to_vec()),
            fault,
            characters,
        });
        self.start = self.scanned;
        Ok(())
    }
}

fn matching(names: bool) -> Result<(), Violation> {
    if names {
        Ok(())
    } else {
        Err(Violation::not_well_formed("start and end tag do not match"))
    }
}
