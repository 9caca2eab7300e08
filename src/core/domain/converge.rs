//! Whether two sets of parameters ask for the same thing.
//!
//! What is compared is what they mean, each under the model it was written with: an absent parameter equals its default
//! spelled out, and a default that changed between releases makes no difference to what is already there.

use super::parameters::{Parameters, ParametersOf};

/// Whether a value made from `stored` is what `wanted` asks for. Parameters that contradict themselves equal nothing.
pub fn same(stored: &Parameters, wanted: &Parameters) -> bool {
    // An absent parameter means the default of the model that stored the version, so that a release with new defaults
    // finds nothing changed where nobody changed anything.
    let model = stored.model;
    match (&stored.of, &wanted.of) {
        (ParametersOf::Password(stored), ParametersOf::Password(wanted)) => {
            stored.rules(model).ok().is_some_and(|rules| wanted.rules(model) == Ok(rules))
        }
        (ParametersOf::User(stored), ParametersOf::User(wanted)) => {
            stored.username == wanted.username
                && stored.password.rules(model).ok().is_some_and(|rules| wanted.password.rules(model) == Ok(rules))
        }
        (ParametersOf::Rsa(stored), ParametersOf::Rsa(wanted)) => stored.size(model) == wanted.size(model),
        (ParametersOf::Ssh(stored), ParametersOf::Ssh(wanted)) => {
            stored.rules(model).ok().is_some_and(|rules| wanted.rules(model) == Ok(rules))
        }
        (ParametersOf::Certificate(stored), ParametersOf::Certificate(wanted)) => {
            let both = stored.rules(model).ok().zip(wanted.rules(model).ok());
            both.is_some_and(|(stored, wanted)| stored.same_as(&wanted))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::parameters::{PasswordParameters, UserParameters};

    fn password(length: Option<u16>) -> Parameters {
        Parameters::password(PasswordParameters { length, ..Default::default() })
    }

    #[test]
    fn a_default_spelled_out_is_the_same() {
        assert!(same(&password(None), &password(Some(30))));
        assert!(!same(&password(None), &password(Some(31))));
    }

    #[test]
    fn a_user_name_given_is_not_a_user_name_drawn() {
        let user = |username: Option<&str>| {
            Parameters::user(UserParameters { username: username.map(Into::into), ..Default::default() })
        };
        assert!(same(&user(None), &user(None)));
        assert!(!same(&user(None), &user(Some("a"))));
    }

    #[test]
    fn types_are_never_the_same() {
        assert!(!same(&password(None), &Parameters::user(UserParameters::default())));
    }
}
