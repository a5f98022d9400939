//! What she can say, in groups with an example each; and each word explained.

use super::super::limits::BODY_BYTES_MAX;
use super::super::words;

/// One thing to say: its words, an example with what it does, and more about it.
struct Topic {
    /// The first is the name; `help` takes each of them.
    words: &'static [&'static str],
    example: &'static str,
    more: &'static str,
}

type Group = (&'static str, &'static [Topic]);

const GROUPS: &[Group] = &[
    (
        "Your status",
        &[
            Topic {
                words: &["status"],
                example: "status ☕ In a meeting – set your text; it stays after you log out",
                more: "“status” alone shows what is set, “status clear” removes the text. An emoji may stand \
                       before it.",
            },
            Topic {
                words: &["for", "until"],
                example: "for 1h In a meeting, until 15:00 Lunch – a text for a time",
                more: "Times are 30m, 4h, 2d, today, week; ends are 15:00, 2026-12-24 or 2026-12-24 18:00, in \
                       your time zone.",
            },
            Topic {
                words: &["meanwhile"],
                example: "meanwhile 1h Lunch – the same, and then the text before again",
                more: "“meanwhile until 15:00 Lunch” works too. Up to three texts wait.",
            },
            Topic {
                words: &[
                    "away",
                    "dnd",
                    "busy",
                    "xa",
                    "chat",
                    "online",
                    "invisible",
                    "state",
                    "keep",
                    "visible",
                ],
                example: "dnd for 1h Writing – be shown so: away, dnd, xa, chat, online, invisible",
                more: "The time and the text may be left out. “state keep” shows again what your clients say. \
                       Who is invisible is shown as offline.",
            },
            Topic {
                words: &["undo", "revert"],
                example: "undo – take back the text that somebody else has set; yours is there again",
                more: "Only whom you granted set-status can set it; you are told each time.",
            },
            Topic {
                words: &["timezone"],
                example: "timezone Europe/Berlin – in which your times and quiet hours are meant",
                more: "“timezone” alone shows it.",
            },
        ],
    ),
    (
        "Who sees you",
        &[
            Topic {
                words: &["visibility"],
                example: "visibility subscribers – who sees you: private, subscribers or public",
                more: "private: only those whom you granted something. subscribers: also those whose request \
                       you approved, and the operator's parties. public: everyone.",
            },
            Topic {
                words: &["last-seen"],
                example: "last-seen hour – how precisely others learn it: exact, hour, day or never",
                more: "“last-seen” alone shows what is set.",
            },
            Topic {
                words: &["share-idle"],
                example: "share-idle yes – whether others see for how long you have been idle",
                more: "It is yes or no.",
            },
            Topic {
                words: &["pending", "approve", "deny"],
                example: "pending – who asks to see your presence; approve 2, deny 1-3 – answer",
                more: "An answer takes numbers or addresses. “deny” also ends a subscription that you approved. \
                       “approve bob@example.org” before he asks is an answer too.",
            },
        ],
    ),
    (
        "Who may do what",
        &[
            Topic {
                words: &["yes", "no", "always"],
                example: "yes k7 – answer a question about what somebody wants to do; no k7, always k7, block k7",
                more: "No answer means no. “always” is a yes that holds from now on. Where one question is open \
                       the code may be left out of yes and no.",
            },
            Topic {
                words: &["questions"],
                example: "questions – what waits for your yes or no, with the codes",
                more: "The same as a form is among the commands of this address, where your client shows them.",
            },
            Topic {
                words: &["grant"],
                example: "grant bob@example.org open-url, notify – let somebody do things",
                more: "The rights are see, open-url, leave-message, notify, set-status, start-module, \
                       activate-client. WHO is an address, a domain for all its users, or the name of a party; \
                       several are possible. Behind the rights, in any order, what you want of this:\n\
                       ask first, ask always – be asked the first time, or each time\n\
                       until 2026-12-31, for 2d – when it ends\n\
                       at most 5 a day – how often\n\
                       quiet 22:00-07:00 – when it gives nothing but see\n\
                       over dedicated – only on this way: public (XMPP), dedicated (a party's link), http\n\
                       As in “grant bob@example.org notify, open-url ask first until 2026-12-31 at most 5 a day \
                       quiet 22:00-07:00”. A new grant takes the place of the one before.",
            },
            Topic {
                words: &["revoke"],
                example: "revoke bob@example.org – take back what you gave, and your presence",
                more: "It holds at once; several are possible. With “keep” behind it who gets your presence \
                       still does, with “block” they are blocked as well. A party has its rights by the \
                       operator's word: to revoke it is to block it.",
            },
            Topic {
                words: &["modules"],
                example: "modules bob@example.org agenda – which programs of your agents somebody may start",
                more: "They need a grant of start-module. “modules” alone lists the programs, and who may start \
                       what; “all” means those that are there now, “none” none.",
            },
            Topic {
                words: &["unsigned"],
                example: "unsigned bob@example.org yes – a status that somebody sets is shown without their name",
                more: "They need a grant of set-status. With “no” the name is shown again from the next text on.",
            },
            Topic {
                words: &["tokens", "token"],
                example: "tokens – what you have made for whoever shows it; token new, token revoke blog",
                more: "A token gives rights to whoever shows it, or redeems it for good. It is made in a form \
                       and shown there once, for messages are kept: “token new” says where. “token revoke \
                       blog, door” ends tokens by their labels, and all that was redeemed with them.",
            },
            Topic {
                words: &["block", "unblock"],
                example: "block spam.example – an address or a domain that gets nothing; unblock takes it back",
                more: "Who is blocked gets the answer of an unknown user. Names of parties and numbers of \
                       requests work too.",
            },
            Topic {
                words: &["tell"],
                example: "tell notify digest – be told of what they do each time, once an hour, or not: every, digest, off",
                more: "The rights are open-url, notify, set-status, start-module, activate-client, or all. “tell” alone \
                       shows what is set. Messages and links that are left for you always reach you, and what \
                       those do whom you granted it, and parties, is told at least once an hour.",
            },
            Topic {
                words: &["overview"],
                example: "overview – who may do what, since when, and how often it was used",
                more: "The same as a table is among the commands of this address, where your client shows them.",
            },
            Topic {
                words: &["history"],
                example: "history 20 – what was done, and how it ended",
                more: "“history bob@example.org” is what he did; an address, a domain, or the name of a party. \
                       The last 50 are kept.",
            },
        ],
    ),
    (
        "Your data",
        &[
            Topic {
                words: &["join"],
                example: "join – be served here, or again",
                more: "To add this address as a contact does the same.",
            },
            Topic {
                words: &["export"],
                example: "export – get all that is stored of you",
                more: "It comes as messages, one record a line, your history with it.",
            },
            Topic {
                words: &["leave", "erase"],
                example: "leave – end it and erase everything, at once; erase – the same, asked twice",
                more: "It cannot be undone. To remove this address from your contacts only pauses it.",
            },
        ],
    ),
];

/// What there is to say, or one word explained.
pub(super) fn text(word: &str) -> String {
    let word = word.trim().trim_matches(['“', '”', '"']).to_lowercase();
    let mut topics = GROUPS.iter().flat_map(|(_, topics)| topics.iter());
    if let Some(topic) = topics.find(|one| one.words.contains(&word.as_str())) {
        return format!("{}\n{}", topic.example, topic.more);
    }
    let mut lines = Vec::new();
    if !word.is_empty() {
        lines.push(format!(
            "There is no “{}”. This is what you can say:",
            words::quotable(&word, 40).unwrap_or_default()
        ));
    }
    for (group, topics) in GROUPS {
        lines.push(format!("{group}:"));
        lines.extend(topics.iter().map(|topic| topic.example.to_owned()));
    }
    lines.push("“help grant” tells more about grant, and so for each.".to_owned());
    words::lines(&lines, BODY_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_listed_and_explained() {
        let all = text("");
        assert!(!all.contains("more.\n… and"), "{all}");
        for topic in GROUPS.iter().flat_map(|(_, topics)| topics.iter()) {
            assert!(all.contains(topic.example), "{}", topic.example);
            for word in topic.words {
                let told = text(&format!(" {} ", word.to_uppercase()));
                assert!(told.contains(topic.more), "{word}: {told}");
            }
            let name = topic.words[0];
            let begins = topic.example.starts_with(name);
            assert!(
                begins
                    || topic
                        .words
                        .iter()
                        .any(|word| topic.example.starts_with(word))
            );
        }
        assert!(text("nonsense\u{202e}").starts_with("There is no “nonsense”"));
    }
}
