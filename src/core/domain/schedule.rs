//! What is due for a credential that a resource describes, and why.
//!
//! Pure: what the store holds and what the resource wants go in, one decision comes out. At most one version is made for
//! one decision, and none for a value that is already there unless somebody asked.

use super::{converge, ids::VersionId, parameters::Parameters, stamp::Reason};

/// Where a resource says that its value comes from.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// Made from parameters.
    Generate(&'a Parameters),
    /// Read from a Secret; `changed` tells whether it differs from the newest version (meaningless without one).
    Source { changed: bool },
    /// Read once from a Secret, while there is no version; generated from then on.
    Adopt(&'a Parameters),
    /// Set by somebody over the API.
    Input,
}

/// What the store holds for the path.
#[derive(Clone, Copy, Debug)]
pub struct Newest<'a> {
    pub reason: Reason,
    /// What it was generated from, where it was.
    pub parameters: Option<&'a Parameters>,
}

/// A request by annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    None,
    /// Not seen before.
    Fresh,
    /// Made a version already.
    Used(VersionId),
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing: the newest version stays.
    Keep(Kept),
    /// Generate a version; `requested` where it answers the request by annotation.
    Generate { reason: Reason, requested: bool },
    /// Take the bytes of the source.
    Import(Reason),
    /// There is no version and nothing to make one from.
    WaitForInput,
}

/// What is to be said about a version that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    AsWanted,
    /// It was made from other parameters, and the spec says to keep it.
    ParametersDrifted,
    /// A request by annotation made this version before.
    RequestAlreadyUsed(VersionId),
    /// A request by annotation cannot be met: the value is given, not generated.
    RequestNeedsGenerator,
}

/// Decides what is due.
pub fn due(origin: Origin<'_>, newest: Option<Newest<'_>>, request: Request) -> Due {
    let Some(newest) = newest else {
        return match origin {
            // A fresh request is met by the first version: the manifest that carries it asks for nothing more.
            Origin::Generate(_) => Due::Generate { reason: Reason::Generated, requested: request == Request::Fresh },
            Origin::Source { .. } | Origin::Adopt(_) => Due::Import(Reason::Imported),
            Origin::Input => Due::WaitForInput,
        };
    };
    if let Origin::Source { changed: true } = origin {
        return Due::Import(Reason::SourceChanged);
    }
    let (Origin::Generate(wanted) | Origin::Adopt(wanted)) = origin else {
        return Due::Keep(match request {
            Request::None => Kept::AsWanted,
            _ => Kept::RequestNeedsGenerator,
        });
    };
    match request {
        Request::Fresh => Due::Generate { reason: Reason::Requested, requested: true },
        Request::Used(version) => Due::Keep(Kept::RequestAlreadyUsed(version)),
        Request::None => Due::Keep(drift(newest, wanted)),
    }
}

/// Whether the newest version is what the parameters ask for. One that was given, not generated, is.
pub fn drift(newest: Newest<'_>, wanted: &Parameters) -> Kept {
    match newest.parameters {
        Some(stored) if !converge::same(stored, wanted) => Kept::ParametersDrifted,
        _ => Kept::AsWanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::parameters::PasswordParameters, world::SeededEntropy};

    fn password(length: u16) -> Parameters {
        Parameters::password(PasswordParameters { length: Some(length), ..Default::default() })
    }

    #[test]
    fn a_value_is_made_only_where_there_is_none_or_somebody_asked() {
        let (wanted, other) = (password(20), password(40));
        let used = VersionId::new(&SeededEntropy::new(1));
        let made = |parameters| Some(Newest { reason: Reason::Generated, parameters });
        let generate = Origin::Generate(&wanted);
        let first = |requested| Due::Generate { reason: Reason::Generated, requested };
        let asked = Due::Generate { reason: Reason::Requested, requested: true };
        let table = [
            (generate, None, Request::None, first(false)),
            (generate, None, Request::Fresh, first(true)),
            (generate, None, Request::Used(used), first(false)),
            (generate, made(Some(&wanted)), Request::None, Due::Keep(Kept::AsWanted)),
            (generate, made(Some(&wanted)), Request::Fresh, asked),
            (generate, made(Some(&wanted)), Request::Used(used), Due::Keep(Kept::RequestAlreadyUsed(used))),
            (generate, made(Some(&other)), Request::None, Due::Keep(Kept::ParametersDrifted)),
            (generate, made(None), Request::None, Due::Keep(Kept::AsWanted)),
            (Origin::Adopt(&wanted), None, Request::None, Due::Import(Reason::Imported)),
            (Origin::Adopt(&wanted), made(None), Request::None, Due::Keep(Kept::AsWanted)),
            (Origin::Adopt(&wanted), made(None), Request::Fresh, asked),
            (Origin::Source { changed: false }, None, Request::None, Due::Import(Reason::Imported)),
            (Origin::Source { changed: true }, made(None), Request::None, Due::Import(Reason::SourceChanged)),
            (Origin::Source { changed: false }, made(None), Request::None, Due::Keep(Kept::AsWanted)),
            (Origin::Source { changed: false }, made(None), Request::Fresh, Due::Keep(Kept::RequestNeedsGenerator)),
            (Origin::Input, None, Request::None, Due::WaitForInput),
            (Origin::Input, None, Request::Fresh, Due::WaitForInput),
            (Origin::Input, made(None), Request::None, Due::Keep(Kept::AsWanted)),
            (Origin::Input, made(None), Request::Fresh, Due::Keep(Kept::RequestNeedsGenerator)),
        ];
        for (origin, newest, request, expected) in table {
            assert_eq!(due(origin, newest, request), expected, "{origin:?} {newest:?} {request:?}");
        }
    }
}
