//! Tests of the link as a whole, and those too long for the bottom of a file.

mod alone;
mod closing;
mod dedicated;
mod differential;
mod framing;
mod handshake;
mod hostile;
mod plain;
mod presented;
mod robustness;
mod script;
mod seal;
mod seal_property;
mod tls;
