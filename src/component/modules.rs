//! Modules: the named programs that a user's agent offers, with their typed arguments. Read from what the
//! agent says, shown to watchers as fields, and held against what they fill in.
//!
//! What an agent says is hers and still untrusted: names, sizes and numbers are bounded here, and a module
//! that does not keep to them does not exist. design.md §4, protocol.md §9.3, XEP-0122.

use std::collections::{BTreeMap, BTreeSet};

use xmpp_parsers::data_forms::{DataForm, Field, FieldType, Option_};
use xmpp_parsers::data_forms_validate::{Datatype, Method, Validate};

use super::form::Fields;
use super::limits::{
    ARGUMENTS_MAX, MODULE_BYTES_MAX, MODULE_LABEL_CHARS_MAX, MODULE_NAME_MAX,
    MODULE_VALUE_BYTES_MAX,
};
use super::reply::Refusal;
use super::words::quotable;
use crate::stanza::size::value_bytes;

/// The fields of a watcher's form, and of the agent's, that carry an argument begin so.
pub(super) const ARGUMENT: &str = "arg-";

/// One module, as its agent declares it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Module {
    /// For people.
    pub(super) title: String,
    /// In the agent's order.
    arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq)]
struct Argument {
    /// With `arg-` before it.
    var: String,
    label: Option<String>,
    desc: Option<String>,
    required: bool,
    kind: Kind,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// One of these: value and label.
    Choice(Vec<(String, Option<String>)>),
    /// Yes or no.
    Boolean,
    /// A whole number.
    Integer { min: Option<i64>, max: Option<i64> },
    /// One line. Its pattern, where there is one, is for the watcher to read; the agent holds to it.
    Line(Option<String>),
}

/// Whether a word can name a module, or an argument after its `arg-`.
pub(super) fn is_name(word: &str) -> bool {
    (1..=MODULE_NAME_MAX).contains(&word.len())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl Module {
    /// Reads the form in an agent's `disco#info` of a module; `None` where it is not one that we take.
    /// `called`: what its list calls it.
    pub(super) fn read(form: &DataForm, called: &str) -> Option<(String, Self)> {
        let mut name = None;
        let mut arguments: Vec<Argument> = Vec::new();
        for field in &form.fields {
            match field.var.as_deref() {
                Some("module") if name.is_some() => return None,
                Some("module") => name = field.values.first().cloned(),
                Some(var) if var.starts_with(ARGUMENT) => {
                    if arguments.iter().any(|known| known.var == var) {
                        return None;
                    }
                    arguments.push(Argument::read(var, field)?);
                }
                _ => {}
            }
        }
        let name = name.filter(|name| is_name(name))?;
        let title = quotable(called, MODULE_LABEL_CHARS_MAX).unwrap_or_else(|| name.clone());
        let module = Self { title, arguments };
        let fits = module.arguments.len() <= ARGUMENTS_MAX
            && value_bytes(&name) + module.bytes() <= MODULE_BYTES_MAX;
        fits.then_some((name, module))
    }

    /// About as many bytes as it takes in a form.
    pub(super) fn bytes(&self) -> usize {
        let of = |text: &Option<String>| text.as_deref().map_or(0, value_bytes);
        let argument = |one: &Argument| {
            let kind = match &one.kind {
                Kind::Choice(options) => options
                    .iter()
                    .map(|(value, label)| 50 + value_bytes(value) + of(label))
                    .sum(),
                Kind::Line(pattern) => of(pattern),
                Kind::Boolean | Kind::Integer { .. } => 50,
            };
            200 + one.var.len() + of(&one.label) + of(&one.desc) + kind
        };
        100 + value_bytes(&self.title) + self.arguments.iter().map(argument).sum::<usize>()
    }

    /// The names and kinds of its arguments, for a person.
    pub(super) fn told(&self) -> String {
        let argument = |one: &Argument| {
            let name = one.var.strip_prefix(ARGUMENT).unwrap_or(&one.var);
            let kind = match &one.kind {
                Kind::Choice(options) => {
                    let values: Vec<_> = options.iter().map(|(value, _)| value.as_str()).collect();
                    values.join("|")
                }
                Kind::Boolean => "yes|no".to_owned(),
                Kind::Integer { min, max } => match (min, max) {
                    (Some(min), Some(max)) => format!("{min}…{max}"),
                    _ => "number".to_owned(),
                },
                Kind::Line(_) => "text".to_owned(),
            };
            format!("{name}: {kind}")
        };
        let arguments: Vec<_> = self.arguments.iter().map(argument).collect();
        match arguments.is_empty() {
            true => self.title.clone(),
            false => format!("{} ({})", self.title, arguments.join(", ")),
        }
    }

    /// Holds what a watcher has filled in against the types: exactly the declared arguments come out.
    pub(super) fn check(&self, given: &Fields) -> Result<BTreeMap<String, String>, Refusal> {
        let mut checked = BTreeMap::new();
        for argument in &self.arguments {
            let values = given.all(&argument.var).unwrap_or_default();
            if values.len() > 1 {
                return Err(wrong(&argument.var, "has more than one value"));
            }
            match values.first().filter(|value| !value.is_empty()) {
                Some(value) => {
                    checked.insert(argument.var.clone(), argument.checked(value)?);
                }
                None if argument.required => {
                    return Err(wrong(&argument.var, "is missing"));
                }
                None => {}
            }
        }
        Ok(checked)
    }
}

fn wrong(var: &str, how: &str) -> Refusal {
    Refusal::BadPayload(format!("The field {var} {how}."))
}

impl Argument {
    fn read(var: &str, field: &Field) -> Option<Self> {
        if !is_name(var.strip_prefix(ARGUMENT)?) {
            return None;
        }
        let datatype = field.validate.as_ref().and_then(|one| one.datatype.clone());
        let method = field.validate.as_ref().and_then(|one| one.method.clone());
        let kind = match (field.type_.clone(), datatype) {
            (FieldType::ListSingle, _) => Kind::Choice(options(&field.options)?),
            (FieldType::Boolean, _) => Kind::Boolean,
            (
                FieldType::TextSingle,
                Some(
                    Datatype::Integer
                    | Datatype::Int
                    | Datatype::Long
                    | Datatype::Short
                    | Datatype::Byte,
                ),
            ) => {
                let (min, max) = match method {
                    Some(Method::Range { min, max }) => (min, max),
                    _ => (None, None),
                };
                let bound = |text: Option<String>| match text {
                    None => Some(None),
                    Some(text) => text.parse().ok().map(Some),
                };
                Kind::Integer {
                    min: bound(min)?,
                    max: bound(max)?,
                }
            }
            (FieldType::TextSingle, _) => Kind::Line(match method {
                Some(Method::Regex(pattern)) => Some(pattern),
                _ => None,
            }),
            _ => return None,
        };
        let line = |text: &Option<String>| quotable(text.as_deref()?, MODULE_LABEL_CHARS_MAX);
        Some(Self {
            var: var.to_owned(),
            label: line(&field.label),
            desc: line(&field.desc),
            required: field.required,
            kind,
        })
    }

    fn checked(&self, value: &str) -> Result<String, Refusal> {
        if value.len() > MODULE_VALUE_BYTES_MAX {
            return Err(wrong(&self.var, "is too long"));
        }
        if value.chars().any(char::is_control) {
            return Err(wrong(&self.var, "is not one line"));
        }
        match &self.kind {
            Kind::Choice(options) if !options.iter().any(|(option, _)| option == value) => {
                Err(wrong(&self.var, "is not one of the options"))
            }
            Kind::Choice(_) | Kind::Line(_) => Ok(value.to_owned()),
            Kind::Boolean => match value {
                "1" | "true" => Ok("1".to_owned()),
                "0" | "false" => Ok("0".to_owned()),
                _ => Err(wrong(&self.var, "is neither 1 nor 0")),
            },
            Kind::Integer { min, max } => {
                let number: i64 = value
                    .trim()
                    .parse()
                    .map_err(|_| wrong(&self.var, "is not a whole number"))?;
                if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
                    return Err(wrong(&self.var, "is out of range"));
                }
                Ok(number.to_string())
            }
        }
    }

    fn field(&self) -> Field {
        let type_ = match &self.kind {
            Kind::Choice(_) => FieldType::ListSingle,
            Kind::Boolean => FieldType::Boolean,
            Kind::Integer { .. } | Kind::Line(_) => FieldType::TextSingle,
        };
        let mut field = Field::new(&self.var, type_);
        field.label.clone_from(&self.label);
        field.desc.clone_from(&self.desc);
        let validate = |datatype, method| {
            Some(Validate {
                datatype: Some(datatype),
                method: Some(method),
                list_range: None,
            })
        };
        match &self.kind {
            Kind::Choice(options) => {
                field.options = options
                    .iter()
                    .map(|(value, label)| Option_ {
                        label: label.clone(),
                        value: value.clone(),
                    })
                    .collect();
            }
            Kind::Boolean | Kind::Line(None) => {}
            Kind::Integer { min, max } => {
                let text = |bound: &Option<i64>| bound.map(|bound| bound.to_string());
                let (min, max) = (text(min), text(max));
                field.validate = validate(Datatype::Integer, Method::Range { min, max });
            }
            Kind::Line(Some(pattern)) => {
                field.validate = validate(Datatype::String, Method::Regex(pattern.clone()));
            }
        }
        field
    }
}

fn options(options: &[Option_]) -> Option<Vec<(String, Option<String>)>> {
    let mut values = BTreeSet::new();
    let read = |option: &Option_| {
        let fits = !option.value.is_empty()
            && option.value.len() <= MODULE_VALUE_BYTES_MAX
            && !option.value.chars().any(char::is_control);
        let label = option.label.as_deref();
        let label = label.and_then(|label| quotable(label, MODULE_LABEL_CHARS_MAX));
        (fits && values.insert(option.value.clone())).then(|| (option.value.clone(), label))
    };
    let read: Option<Vec<_>> = options.iter().map(read).collect();
    read.filter(|options| !options.is_empty())
}

/// The fields by which a watcher chooses one of several modules and fills in its arguments, as many modules
/// as `budget` bytes hold. An argument that several have, and not all in the same way, is a line of text
/// there; only what every one of them requires is required.
pub(super) fn fields(modules: &BTreeMap<&str, &Module>, budget: usize) -> Vec<Field> {
    let mut choice = Field::new("module", FieldType::ListSingle);
    choice.label = Some("Program".to_owned());
    choice.required = true;
    let mut bytes = 0;
    let mut arguments: Vec<(&Argument, Field, usize)> = Vec::new();
    let mut n = 0;
    for (name, module) in modules {
        bytes += name.len() + module.bytes();
        if bytes > budget && n > 0 {
            break;
        }
        n += 1;
        choice.options.push(Option_ {
            label: Some(module.title.clone()),
            value: (*name).to_owned(),
        });
        for argument in &module.arguments {
            let known = arguments
                .iter_mut()
                .find(|(one, ..)| one.var == argument.var);
            match known {
                Some((one, field, n_required)) => {
                    *n_required += usize::from(argument.required);
                    if one.kind != argument.kind {
                        field.type_ = FieldType::TextSingle;
                        field.options.clear();
                        field.validate = None;
                    }
                }
                None => {
                    let required = usize::from(argument.required);
                    arguments.push((argument, argument.field(), required));
                }
            }
        }
    }
    if n == 1 {
        choice.values = choice.options.iter().map(|one| one.value.clone()).collect();
    }
    let arguments = arguments.into_iter().map(|(_, mut field, n_required)| {
        field.required = n_required == n;
        field
    });
    std::iter::once(choice).chain(arguments).collect()
}
