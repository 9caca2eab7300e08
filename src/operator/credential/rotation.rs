//! `spec.rotation` becomes what the schedule works with.

use std::collections::BTreeMap;

use credsmith_core::domain::{
    CredentialType,
    rotation::{Before, By, OnChange, Percent, Rotation},
};
use jiff::SignedDuration;

use super::{
    parse::Refusal,
    spec::{CredentialSpec, OnParametersChange, RotationMode},
};

/// Parses, or says which field is wrong. `generated` tells whether the value is made from parameters at all.
pub fn rotation(spec: &CredentialSpec, kind: CredentialType, generated: bool) -> Result<Rotation, Refusal> {
    let block = spec.rotation.clone().unwrap_or_default();
    let by_time = [("every", &block.every), ("renewBefore", &block.renew_before)];
    if let Some((field, _)) = by_time.iter().find(|(_, given)| given.is_some() && !generated) {
        return Err(Refusal::Invalid(format!(
            "spec.rotation.{field} may only stand with a value that is generated: remove it; a given value changes with its \
             source or over the API"
        )));
    }
    let by = match (&block.every, &block.renew_before) {
        (Some(_), Some(_)) => {
            return Err(Refusal::Invalid("spec.rotation: give one of every, schedule or renewBefore".into()));
        }
        (Some(every), None) => match duration(every).filter(|every| *every >= SignedDuration::from_mins(1)) {
            Some(every) => By::Every(every),
            None => return Err(wrong("every", every, "a duration of one minute or more, such as 720h")),
        },
        (None, Some(before)) => By::Before(renew_before(before, spec)?),
        (None, None) => By::Nothing,
    };
    let jitter = block.jitter.as_deref().unwrap_or("5%");
    let jitter = percent(jitter, 0..=50).ok_or_else(|| wrong("jitter", jitter, "0% to 50%"))?;
    let on_change = match block.on_parameters_change {
        Some(OnParametersChange::Regenerate) => OnChange::Regenerate,
        Some(OnParametersChange::Keep) => OnChange::Keep,
        None if kind == CredentialType::Certificate => OnChange::Regenerate,
        None => OnChange::Keep,
    };
    Ok(Rotation { by, manual: block.mode == Some(RotationMode::Manual), jitter, on_change })
}

/// What the fields came to mean, for status: nothing where nothing happens by time.
pub fn effective(spec: &CredentialSpec, rotation: &Rotation) -> BTreeMap<String, String> {
    let block = spec.rotation.clone().unwrap_or_default();
    let given = [("every", block.every), ("renewBefore", block.renew_before)];
    let mut all: BTreeMap<_, _> =
        given.into_iter().filter_map(|(field, given)| Some((field.to_owned(), given?))).collect();
    if rotation.by != By::Nothing && !rotation.manual {
        all.insert("jitter".into(), block.jitter.unwrap_or_else(|| "5%".into()));
    }
    all
}

/// A duration as the schema writes it: a number and one of `h`, `m`, `s`.
pub fn duration(text: &str) -> Option<SignedDuration> {
    let number: i64 = text.get(..text.len().checked_sub(1)?)?.parse().ok().filter(|number| *number > 0)?;
    let seconds = match text.as_bytes().last()? {
        b'h' => number.checked_mul(3600)?,
        b'm' => number.checked_mul(60)?,
        b's' => number,
        _ => return None,
    };
    Some(SignedDuration::from_secs(seconds))
}

fn renew_before(text: &str, spec: &CredentialSpec) -> Result<Before, Refusal> {
    if let Some(share) = percent(text, 1..=99) {
        return Ok(Before::Share(share));
    }
    let before = duration(text).ok_or_else(|| wrong("renewBefore", text, "a duration, or a share such as 33%"))?;
    let lifetime = spec.certificate.as_ref().and_then(|block| block.duration.as_deref());
    let lifetime = lifetime.unwrap_or(DEFAULT_LIFETIME);
    if duration(lifetime).is_some_and(|lifetime| before >= lifetime) {
        return Err(Refusal::Invalid(format!(
            "spec.rotation.renewBefore {text} is not shorter than spec.certificate.duration {lifetime}: the certificate \
             would be due from its first moment; give less"
        )));
    }
    Ok(Before::Duration(before))
}

fn percent(text: &str, range: std::ops::RangeInclusive<u8>) -> Option<Percent> {
    let number: u8 = text.strip_suffix('%')?.parse().ok()?;
    range.contains(&number).then(|| Percent::new(number)).flatten()
}

fn wrong(field: &str, text: &str, wanted: &str) -> Refusal {
    Refusal::Invalid(format!("spec.rotation.{field} is {text}: give {wanted}"))
}

const DEFAULT_LIFETIME: &str = "8760h";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(kind: CredentialType, block: serde_json::Value) -> Result<Rotation, String> {
        let spec = json!({"type": kind.as_str(), "rotation": block, "certificate": {"duration": "100h"}});
        rotation(&serde_json::from_value(spec).unwrap(), kind, true).map_err(|refusal| refusal.to_string())
    }

    fn hours(hours: i64) -> SignedDuration {
        SignedDuration::from_hours(hours)
    }

    #[test]
    fn fields_become_a_schedule() {
        let five = Percent::new(5).unwrap();
        let password = Rotation { jitter: five, ..Rotation::default() };
        let certificate = Rotation { on_change: OnChange::Regenerate, ..password };
        let (a, b) = (CredentialType::Password, CredentialType::Certificate);
        let table = [
            (a, json!({}), password),
            (a, json!({"every": "720h"}), Rotation { by: By::Every(hours(720)), ..password }),
            (
                a,
                json!({"every": "60s", "mode": "Manual"}),
                Rotation { by: By::Every(SignedDuration::from_mins(1)), manual: true, ..password },
            ),
            (
                a,
                json!({"every": "90m", "jitter": "0%"}),
                Rotation { by: By::Every(SignedDuration::from_mins(90)), jitter: Percent::default(), ..password },
            ),
            (a, json!({"onParametersChange": "Regenerate"}), Rotation { on_change: OnChange::Regenerate, ..password }),
            (b, json!({}), certificate),
            (b, json!({"onParametersChange": "Keep"}), Rotation { on_change: OnChange::Keep, ..certificate }),
            (
                b,
                json!({"renewBefore": "33%"}),
                Rotation { by: By::Before(Before::Share(Percent::new(33).unwrap())), ..certificate },
            ),
            (b, json!({"renewBefore": "99h"}), Rotation { by: By::Before(Before::Duration(hours(99))), ..certificate }),
        ];
        for (kind, block, expected) in table {
            assert_eq!(parsed(kind, block.clone()), Ok(expected), "{block}");
        }
    }

    #[test]
    fn what_came_past_the_schema_is_refused_by_name() {
        let table = [
            (
                json!({"every": "59s"}),
                "spec.rotation.every is 59s: give a duration of one minute or more, such as 720h",
            ),
            (json!({"every": "a"}), "spec.rotation.every is a: give a duration of one minute or more, such as 720h"),
            (
                json!({"every": "99999999999999999h"}),
                "spec.rotation.every is 99999999999999999h: give a duration of one \
                                                      minute or more, such as 720h",
            ),
            (json!({"jitter": "51%"}), "spec.rotation.jitter is 51%: give 0% to 50%"),
            (json!({"renewBefore": "0%"}), "spec.rotation.renewBefore is 0%: give a duration, or a share such as 33%"),
            (
                json!({"renewBefore": "100h"}),
                "spec.rotation.renewBefore 100h is not shorter than \
                                              spec.certificate.duration 100h: the certificate would be due from its first \
                                              moment; give less",
            ),
            (json!({"renewBefore": "1h", "every": "1h"}), "spec.rotation: give one of every, schedule or renewBefore"),
        ];
        for (block, expected) in table {
            assert_eq!(parsed(CredentialType::Certificate, block), Err(expected.into()));
        }
    }

    #[test]
    fn a_given_value_has_no_schedule() {
        let spec = json!({"type": "value", "rotation": {"every": "1h"}});
        let refused = rotation(&serde_json::from_value(spec).unwrap(), CredentialType::Value, false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "spec.rotation.every may only stand with a value that is generated: remove it; a given value changes with its \
             source or over the API"
        );
    }

    #[test]
    fn what_was_not_said_is_shown() {
        let spec = json!({"type": "password", "rotation": {"every": "720h"}});
        let spec: CredentialSpec = serde_json::from_value(spec).unwrap();
        let rotation = rotation(&spec, CredentialType::Password, true).unwrap();
        let expected =
            BTreeMap::from([("every".to_owned(), "720h".to_owned()), ("jitter".to_owned(), "5%".to_owned())]);
        assert_eq!(effective(&spec, &rotation), expected);
    }
}
