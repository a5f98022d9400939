//! What `docs/store.md` tells an operator to do with a damaged store, step by step, with the binary.

use std::fs;
use std::process::{Command, Output};

use vestibule::component::authorization::Visibility;
use vestibule::store::export::export;

use super::exports::{MADE, all, profile, revoked, some};
use super::*;
use crate::support::built_binary;

/// Runs the binary with the store at `store`; its code, and what it says.
fn vestibule(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let config = folder.join("vestibule.toml");
    let store = folder.join("store").display().to_string();
    let text = format!(
        "[component]\ndomain = \"presence.localhost\"\nserver = \"127.0.0.1:1\"\nsecret = \"s3kr1t\"\n\
         [users]\ndomains = [\"example.org\"]\n[store]\npath = {store:?}\nmin-free = 0\n"
    );
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(built_binary("vestibule").unwrap())
        .args(arguments)
        .arg("--config")
        .arg(&config)
        .env_clear()
        .output()
        .unwrap();
    let said = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(said).unwrap())
}

fn says((code, said): &(i32, String), expected: i32, words: &[&str]) {
    assert_eq!(*code, expected, "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

#[test]
fn a_damaged_store_is_replaced_step_by_step() {
    let (folder, path) = place();
    let folder = folder.path();
    let exports = path.join("exports");
    let name = "vestibule-20261123T130000Z.jsonl";
    let mut store = some(&path);
    fs::create_dir(&exports).unwrap();
    export(&mut store, &exports.join(name), MADE).unwrap();
    let later = [
        revoked("alice@example.org", "acme.example"),
        profile("carol@example.org", Visibility::Private),
    ];
    store.apply(&later, Durability::Synced).unwrap();
    drop(store);
    let records = path.join("sled/db");
    let mut bytes = fs::read(&records).unwrap();
    bytes[600..640].fill(0x55);
    fs::write(&records, bytes).unwrap();

    let run = ["run", "--no-retry"];
    let damaged = vestibule(folder, &run);
    says(&damaged, 73, &["is damaged", "vestibule import --since"]);
    let in_place = exports.join(name).display().to_string();
    let onto_it = vestibule(folder, &["import", &in_place]);
    says(
        &onto_it,
        73,
        &["is damaged", "move the whole directory away"],
    );

    let moved = folder.join("store.damaged");
    fs::rename(&path, &moved).unwrap();
    let file = moved.join("exports").join(name).display().to_string();
    let unnamed = vestibule(folder, &["import", &file]);
    says(
        &unnamed,
        64,
        &["no store was named", "--since", "--all-users"],
    );
    assert!(!path.exists());
    let cut = folder.join("cut.jsonl");
    let whole = fs::read(&file).unwrap();
    fs::write(&cut, &whole[..whole.len() - 9]).unwrap();
    let since = ["--since", moved.to_str().unwrap()];
    let import = |file: &str, more: &[&str]| {
        vestibule(folder, &[&["import", file], &since[..], more].concat())
    };
    says(
        &import(cut.to_str().unwrap(), &[]),
        64,
        &["line 12", "cut off"],
    );
    let imported = import(&file, &[]);
    let words = [
        "10 records of 2026-11-23T13:00:00Z are imported",
        "written last at",
        "something was taken away:\n- 2 grants are left out\n- 1 approved contact must be approved again\n",
        "import again with --revive\n",
    ];
    says(&imported, 0, &words);
    // It starts, and only misses its server.
    says(&vestibule(folder, &run), 69, &[]);
    assert_eq!(all(&path).len(), 7);

    // She decides otherwise.
    says(
        &import(&file, &["--revive"]),
        73,
        &["7 records", "move this one away"],
    );
    fs::rename(&path, folder.join("store.first")).unwrap();
    let words = ["everything is as it was then"];
    says(&import(&file, &["--revive"]), 0, &words);
    assert_eq!(all(&path).len(), 10);
}
