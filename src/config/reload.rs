//! What of a changed configuration can be taken up while the component runs.

use super::Config;

impl Config {
    /// The configuration to go on with, `new` as far as that can be at run time, and the keys whose new
    /// values wait for the next start.
    #[must_use]
    pub fn adopt(&self, new: Self) -> (Self, Vec<&'static str>) {
        let mut adopted = new;
        let mut kept = Vec::new();
        macro_rules! keep {
            ($($field:ident: $key:literal),* $(,)?) => {
                $(if adopted.$field != self.$field {
                    adopted.$field.clone_from(&self.$field);
                    kept.push($key);
                })*
            };
        }
        keep! {
            domain: "component.domain",
            server: "component.server",
            tls: "component.tls",
            secret: "component.secret",
            store_path: "store.path",
            store_min_free: "store.min-free",
            export_dir: "store.export-dir",
            export_every: "store.export-every",
            export_keep: "store.export-keep",
            metrics_listen: "metrics.listen",
            log_format: "log.format",
            http: "http",
        }
        let listens = |config: &Self| config.dedicated.as_ref().map(|one| one.listen);
        if listens(self) != listens(&adopted) {
            kept.push("dedicated.listen");
            match (&self.dedicated, &mut adopted.dedicated) {
                (Some(old), Some(new)) => new.listen = old.listen,
                (old, new) => new.clone_from(old),
            }
        }
        // The socket that is open is at one kind of address: what was refused off loopback stays so.
        if let (Some(old), Some(new)) = (&self.dedicated, &mut adopted.dedicated)
            && old.certificate.is_some() != new.certificate.is_some()
        {
            kept.push("dedicated.tls-cert");
            new.certificate.clone_from(&old.certificate);
        }
        (adopted, kept)
    }
}
