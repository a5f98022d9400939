//! Web addresses that may be opened.
/// A checked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress(String);
impl WebAddress {
    /// The serialised form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not https.
    #[error("only https addresses can be opened")]
    Scheme,
}
/// Checks.
pub fn check(text: &str) -> Result<WebAddress, Refusal> {
    let url = url::Url::parse(text).map_err(|_| Refusal::Scheme)?;
    if url.scheme() == "https" {
        Ok(WebAddress(url.to_string()))
    } else {
        Err(Refusal::Scheme)
    }
}
