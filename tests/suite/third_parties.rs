//! `docs/third-parties.md` is held against what it quotes: its programs are the files that the stories run on
//! both servers, byte for byte, each of them once; its stanzas are well-formed.

use std::collections::BTreeMap;

use crate::architecture::root;

const PAGE: &str = include_str!("../../docs/third-parties.md");

/// A fenced block of the page.
struct Block {
    language: String,
    text: String,
    /// The line of text before it.
    before: String,
}

fn blocks() -> Vec<Block> {
    let (mut found, mut before) = (Vec::new(), String::new());
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```");
            found.push(Block {
                language: language.to_owned(),
                text: text.map(|line| format!("{line}\n")).collect(),
                before: before.clone(),
            });
        } else if !line.is_empty() {
            line.clone_into(&mut before);
        }
    }
    found
}

#[test]
fn the_programs_of_the_page_are_the_files_that_are_run() {
    let folder = root().join("tests/third-parties");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let language = match name.rsplit_once('.') {
            Some((_, "py")) => "python",
            Some((_, "mjs")) => "javascript",
            _ => continue,
        };
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        files.insert(name, (language, text));
    }
    assert!(files.len() >= 7, "only {} programs found", files.len());
    for block in blocks() {
        if !["python", "javascript"].contains(&&*block.language) {
            continue;
        }
        let link = block.before.split("](../tests/third-parties/").nth(1);
        let name = link.and_then(|link| link.split(')').next());
        let name = name.unwrap_or_else(|| panic!("no link to a file in {:?}", block.before));
        let (language, text) = files
            .remove(name)
            .unwrap_or_else(|| panic!("{name} is not there, or is quoted twice"));
        assert_eq!(
            (language, &*text),
            (&*block.language, &*block.text),
            "{name}"
        );
    }
    assert!(files.is_empty(), "not quoted: {:?}", files.keys());
    let stories = include_str!("main_job/third_parties.rs");
    for block in blocks() {
        if let Some((_, name)) = block.before.split_once("](../tests/third-parties/") {
            let name = name.split('.').next().unwrap();
            assert!(stories.contains(&format!("\"{name}")), "{name} is not run");
        }
    }
}

#[test]
fn the_stanzas_of_the_page_are_well_formed() {
    let mut n = 0;
    for block in blocks().iter().filter(|block| block.language == "xml") {
        let text = format!("<all xmlns='jabber:client'>{}</all>", block.text);
        let all: minidom::Element = text
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {}", block.text));
        n += all.children().count();
    }
    assert!(n >= 16, "only {n} stanzas");
}
