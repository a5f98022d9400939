//! The form of what she is told of commands: offered, and read.

use xmpp_parsers::data_forms::{Field, FieldType};

use super::super::command;
use super::super::form::{Fields, choice};
use super::super::record::Profile;
use super::super::reply::Refusal;
use super::super::tell::{Choice, RIGHTS, Tell, choose, may_be_off};
use super::bad;

/// One choice for each right, with what is set.
pub(super) fn fields(profile: &Profile) -> Vec<Field> {
    let field = |right| {
        let set = profile.tell.get(&right).copied().unwrap_or_default();
        let labels = Tell::ALL.map(|tell| {
            let label = match tell {
                Tell::Every => "each time",
                Tell::Digest => "one message an hour at most",
                Tell::Off => "not, where everyone or a contact does it",
            };
            (tell, label)
        });
        let offered = labels
            .into_iter()
            .filter(|(tell, _)| *tell != Tell::Off || may_be_off(right));
        let options: Vec<_> = offered
            .map(|(tell, label)| (tell.as_str(), label))
            .collect();
        let label = command::title(right);
        choice(
            right.as_str(),
            FieldType::ListSingle,
            label,
            &options,
            &[set.as_str()],
        )
    };
    RIGHTS.map(field).into()
}

/// What was submitted. Absent fields stay as they are (XEP-0004 §3.3).
pub(super) fn read(fields: &Fields) -> Result<Choice, Refusal> {
    let mut read = Choice::new();
    for right in RIGHTS {
        let Some(word) = fields.text(right.as_str()) else {
            continue;
        };
        let tell = Tell::parse(&word)
            .ok_or_else(|| bad(&format!("The field {right} is every, digest or off.")))?;
        choose(&mut read, right, tell).map_err(Refusal::BadPayload)?;
    }
    Ok(read)
}
