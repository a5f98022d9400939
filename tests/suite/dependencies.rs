//! What the package stands on: licences, origins, and the pins that keep the XMPP crates as they are.

use std::process::Command;

use serde_json::Value;

/// Licences of dependencies, as they are written in the packages. Each was read and fits
/// `MIT OR Apache-2.0`; the MPL-2.0 crates are used unmodified. A new spelling is a decision.
const LICENCES: [&str; 20] = [
    "(MIT OR Apache-2.0) AND Apache-2.0",
    "(MIT OR Apache-2.0) AND Unicode-3.0",
    "Apache-2.0",
    "Apache-2.0 AND ISC",
    "Apache-2.0 OR BSL-1.0",
    "Apache-2.0 OR ISC OR MIT",
    "Apache-2.0 OR MIT",
    "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
    "Apache-2.0/MIT",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT AND BSD-3-Clause",
    "MIT OR Apache-2.0",
    "MIT/Apache-2.0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense OR MIT",
    "Zlib",
    "Zlib OR Apache-2.0 OR MIT",
];

/// Their types are in our interfaces or our store, and every release of theirs breaks something.
const PINNED: [&str; 6] = [
    "jid",
    "minidom",
    "rxml",
    "sled",
    "tokio-xmpp",
    "xmpp-parsers",
];

/// The public registry, as Cargo.lock names it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn every_licence_is_allowed() {
    let metadata = metadata();
    let resolved: Vec<&str> = nodes(&metadata)
        .iter()
        .map(|node| text(node, "id"))
        .collect();
    assert!(resolved.len() > 50, "only {} packages", resolved.len());
    let refused: Vec<String> = packages(&metadata)
        .iter()
        .filter(|package| resolved.contains(&text(package, "id")))
        .filter(|package| !LICENCES.contains(&text(package, "license")))
        .map(|package| format!("{}: {:?}", text(package, "name"), text(package, "license")))
        .collect();
    assert!(
        refused.is_empty(),
        "not on the list: {}",
        refused.join(", ")
    );
}

#[test]
fn every_package_comes_from_the_public_registry() {
    // From the lock file, which also holds what only other systems need.
    let lock: toml::Table = include_str!("../../Cargo.lock").parse().unwrap();
    let strange: Vec<&str> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package.get("source").and_then(toml::Value::as_str) != Some(REGISTRY))
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        strange,
        ["vestibule"],
        "from git, a path or another registry"
    );
}

#[test]
fn the_xmpp_crates_and_the_store_are_pinned() {
    let metadata = metadata();
    let own = packages(&metadata)
        .iter()
        .find(|package| text(package, "name") == "vestibule")
        .unwrap();
    for name in PINNED {
        let dependency = own["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .find(|dependency| text(dependency, "name") == name)
            .unwrap_or_else(|| panic!("{name} is not a dependency any more"));
        let requirement = text(dependency, "req");
        assert!(
            requirement.starts_with('='),
            "{name} is required as {requirement}"
        );
    }
}

/// `component` turns the namespace of the whole build into `jabber:component:accept` and so breaks
/// every client connection; features of a crate are united over the whole build.
#[test]
fn no_xmpp_crate_is_built_for_components() {
    let metadata = metadata();
    for name in ["xmpp-parsers", "tokio-xmpp"] {
        let package = packages(&metadata)
            .iter()
            .find(|package| text(package, "name") == name)
            .unwrap();
        let node = nodes(&metadata)
            .iter()
            .find(|node| text(node, "id") == text(package, "id"))
            .unwrap();
        let features = node["features"].as_array().unwrap();
        assert!(
            !features.iter().any(|feature| feature == "component"),
            "feature component of {name} is on"
        );
    }
}

/// What Cargo resolved for this machine: only that much is sure to be downloaded.
fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(["--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> &Vec<Value> {
    metadata["packages"].as_array().unwrap()
}

fn nodes(metadata: &Value) -> &Vec<Value> {
    metadata["resolve"]["nodes"].as_array().unwrap()
}

/// A field as text; nothing where it is null.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
