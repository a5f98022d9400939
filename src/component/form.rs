//! Forms of the commands: what is offered, and a submitted one read under limits. XEP-0004, XEP-0068.

use std::collections::BTreeMap;

use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType, Option_};

use super::authorization::Right;
use super::limits::{FIELD_CHARS_MAX, FIELDS_MAX, FORM_BYTES_MAX};
use super::modules::Module;
use super::reply::Refusal;
use super::{modules, set_status};

/// FORM_TYPE of every watcher's command (design.md §4).
pub(super) const CMD: &str = "urn:x-presence-service:cmd:0";
/// FORM_TYPE, and node, of the user's own status.
pub(super) const STATUS: &str = "urn:x-presence-service:status:0";
/// Prefix of the nodes of the operator's commands.
pub(super) const ADMIN: &str = "urn:x-presence-service:admin:0";
/// FORM_TYPE, and prefix of the nodes, of the user's consent.
pub(super) const CONSENT: &str = "urn:x-presence-service:consent:0";

/// The values of a submitted form by field.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, Vec<String>>);

impl Fields {
    /// Reads a submitted form. A field that stands twice is refused (security T14); one we do not
    /// know is ignored (XEP-0004 §3.1). A missing FORM_TYPE is the one the command has: some clients
    /// leave it out.
    pub(super) fn read(form: &DataForm, form_type: &str) -> Result<Self, Refusal> {
        let wrong = |text: String| Err(Refusal::BadPayload(text));
        if form.fields.len() > FIELDS_MAX {
            return wrong(format!("The form has more than {FIELDS_MAX} fields."));
        }
        if form.form_type().is_some_and(|given| given != form_type) {
            return wrong(format!("The FORM_TYPE is not {form_type}."));
        }
        let mut values = BTreeMap::new();
        for field in &form.fields {
            let Some(var) = &field.var else { continue };
            if field
                .values
                .iter()
                .any(|value| value.chars().count() > FIELD_CHARS_MAX)
            {
                return wrong(format!(
                    "The field {var} is longer than {FIELD_CHARS_MAX} characters."
                ));
            }
            if values.insert(var.clone(), field.values.clone()).is_some() {
                return wrong(format!("The field {var} stands twice."));
            }
        }
        Ok(Self(values))
    }

    /// The same, with the values of the form where a choice of several was submitted by what is shown of it, as
    /// Gajim 1.7 does. What is shown of two of them stays as it is, and is refused.
    pub(super) fn by_value(mut self, offered: Option<&DataForm>) -> Self {
        let choices = offered.into_iter().flat_map(|form| &form.fields);
        for choice in choices.filter(|field| field.type_ == FieldType::ListMulti) {
            let given = choice.var.as_ref().and_then(|var| self.0.get_mut(var));
            for value in given.into_iter().flatten() {
                if choice.options.iter().any(|option| option.value == *value) {
                    continue;
                }
                let is_it = |option: &&Option_| option.label.as_ref() == Some(&*value);
                let mut shown = choice.options.iter().filter(is_it);
                if let (Some(option), None) = (shown.next(), shown.next()) {
                    value.clone_from(&option.value);
                }
            }
        }
        self
    }

    /// The fields whose name begins so: the rest of the name, and the text.
    pub(super) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, Option<String>)> {
        self.0.keys().filter_map(move |var| {
            let rest = var.strip_prefix(prefix)?;
            Some((rest, self.text(var)))
        })
    }

    /// The values of a field; `None` where it is missing.
    pub(super) fn all(&self, var: &str) -> Option<&[String]> {
        self.0.get(var).map(Vec::as_slice)
    }

    /// The lines of a field as one text, trimmed; `None` where it is missing or empty.
    pub(super) fn text(&self, var: &str) -> Option<String> {
        let text = self.all(var)?.join("\n").trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    }

    /// The text of a field that must be there.
    pub(super) fn required(&self, var: &str) -> Result<String, Refusal> {
        self.text(var)
            .ok_or_else(|| Refusal::BadPayload(format!("The field {var} is missing.")))
    }

    /// A boolean; XEP-0004 takes four words.
    pub(super) fn boolean(&self, var: &str) -> Result<Option<bool>, Refusal> {
        match self.text(var).as_deref() {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(Refusal::BadPayload(format!(
                "The field {var} is neither 1 nor 0."
            ))),
        }
    }
}

/// A form with its title and what to do.
pub(super) fn form(
    form_type: &str,
    title: &str,
    instructions: &str,
    fields: Vec<Field>,
) -> DataForm {
    let mut form = DataForm::new(DataFormType::Form, form_type, fields);
    form.title = Some(title.to_owned());
    form.instructions = Some(instructions.to_owned());
    form
}

/// A field with a label and a present value.
pub(super) fn field(var: &str, type_: FieldType, label: &str, value: Option<&str>) -> Field {
    let mut field = Field::new(var, type_);
    field.label = Some(label.to_owned());
    field.values = value.into_iter().map(ToOwned::to_owned).collect();
    field
}

/// The same, which must be filled in.
pub(super) fn required(var: &str, type_: FieldType, label: &str) -> Field {
    Field {
        required: true,
        ..field(var, type_, label, None)
    }
}

/// A choice among options: (value, label).
pub(super) fn choice(
    var: &str,
    type_: FieldType,
    label: &str,
    options: &[(&str, &str)],
    chosen: &[&str],
) -> Field {
    let options = options.iter().map(|(value, label)| Option_ {
        label: Some((*label).to_owned()),
        value: (*value).to_owned(),
    });
    let mut field = field(var, type_, label, None);
    field.options = options.collect();
    field.values = chosen.iter().map(|value| (*value).to_owned()).collect();
    field
}

/// The form of a watcher's command. `modules`: those that it may start now; `request_id` is offered as the
/// request's name.
pub(super) fn of_right(
    right: Right,
    title: &str,
    modules: &BTreeMap<&str, &Module>,
    request_id: &str,
) -> DataForm {
    let mut fields = match right {
        Right::OpenUrl => vec![
            required("url", FieldType::TextSingle, "Address (https)"),
            field("reason", FieldType::TextSingle, "Why", None),
        ],
        Right::Notify => vec![required("text", FieldType::TextSingle, "Text")],
        Right::SetStatus => set_status::fields(),
        Right::StartModule => modules::fields(modules, FORM_BYTES_MAX),
        Right::See | Right::ActivateClient => Vec::new(),
        Right::LeaveMessage => vec![required("text", FieldType::TextMulti, "Text")],
    };
    fields.push(Field::new("request-id", FieldType::Hidden).with_value(request_id));
    let instructions = match right {
        Right::ActivateClient => "Complete to go on.",
        _ => "Fill in and complete.",
    };
    form(CMD, title, instructions, fields)
}

#[cfg(test)]
mod tests {
    use super::{CONSENT, DataForm, DataFormType, Field, FieldType, Fields, choice};

    fn read(type_: FieldType, given: &str) -> Option<Vec<String>> {
        let options = [
            ("a", "one"),
            ("b", "two"),
            ("c", "two"),
            ("one", "three"),
            ("d", "d"),
        ];
        let field = choice("which", type_, "Which", &options, &[]);
        let offered = DataForm::new(DataFormType::Form, CONSENT, vec![field]);
        let given = Field::new("which", FieldType::TextSingle).with_value(given);
        let given = DataForm::new(DataFormType::Submit, CONSENT, vec![given]);
        let fields = Fields::read(&given, CONSENT).ok()?.by_value(Some(&offered));
        fields.all("which").map(<[String]>::to_vec)
    }

    #[test]
    fn what_is_shown_counts_where_it_is_no_value_and_shown_once() {
        for (given, expected) in [
            ("three", "one"),
            ("one", "one"),
            ("two", "two"),
            ("a", "a"),
            ("four", "four"),
        ] {
            let read = read(FieldType::ListMulti, given);
            assert_eq!(read, Some(vec![expected.to_owned()]), "{given}");
        }
        let read = read(FieldType::ListSingle, "three");
        assert_eq!(read, Some(vec!["three".to_owned()]));
    }
}
