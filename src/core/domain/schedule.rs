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
    /// Take the bytes of the source; `requested` where the first version answers the request by annotation.
    Import { reason: Reason, requested: bool },
    /// There is no version and nothing to make one from.
    WaitForInput,
}

/// What is to be said about a version that stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// It was made from other parameters, and the spec says to keep it.
    pub drifted: bool,
    pub request: Answer,
}

/// What became of a request by annotation that made nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// There was none.
    #[default]
    NotAsked,
    /// It made this version before.
    AlreadyUsed(VersionId),
    /// It cannot be met: the value is given, not generated.
    NeedsGenerator,
}

/// Decides what is due.
pub fn due(origin: Origin<'_>, newest: Option<Newest<'_>>, request: Request) -> Due {
    let Some(newest) = newest else {
        return match origin {
            // A fresh request is met by the first version: the manifest that carries it asks for nothing more.
            Origin::Generate(_) => Due::Generate { reason: Reason::Generated, requested: request == Request::Fresh },
            Origin::Source { .. } | Origin::Adopt(_) => {
                Due::Import { reason: Reason::Imported, requested: request == Request::Fresh }
            }
            Origin::Input => Due::WaitForInput,
        };
    };
    if let Origin::Source { changed: true } = origin {
        return Due::Import { reason: Reason::SourceChanged, requested: false };
    }
    let (Origin::Generate(wanted) | Origin::Adopt(wanted)) = origin else {
        let request = if request == Request::None { Answer::NotAsked } else { Answer::NeedsGenerator };
        return Due::Keep(Kept { drifted: false, request });
    };
    let drifted = drifted(newest, wanted);
    match request {
        Request::Fresh => Due::Generate { reason: Reason::Requested, requested: true },
        Request::Used(version) => Due::Keep(Kept { drifted, request: Answer::AlreadyUsed(version) }),
        Request::None => Due::Keep(Kept { drifted, request: Answer::NotAsked }),
    }
}

/// Whether the newest version was generated from other parameters. One that was given was not.
fn drifted(newest: Newest<'_>, wanted: &Parameters) -> bool {
    newest.parameters.is_some_and(|stored| !converge::same(stored, wanted))
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
        let keep = |drifted, request| Due::Keep(Kept { drifted, request });
        let import = |reason, requested| Due::Import { reason, requested };
        let (wanted_as_is, used_before) = (keep(false, Answer::NotAsked), Answer::AlreadyUsed(used));
        let table = [
            (generate, None, Request::None, first(false)),
            (generate, None, Request::Fresh, first(true)),
            (generate, None, Request::Used(used), first(false)),
            (generate, made(Some(&wanted)), Request::None, wanted_as_is),
            (generate, made(Some(&wanted)), Request::Fresh, asked),
            (generate, made(Some(&wanted)), Request::Used(used), keep(false, used_before)),
            (generate, made(Some(&other)), Request::None, keep(true, Answer::NotAsked)),
            (generate, made(Some(&other)), Request::Used(used), keep(true, used_before)),
            (generate, made(None), Request::None, wanted_as_is),
            (Origin::Adopt(&wanted), None, Request::Fresh, import(Reason::Imported, true)),
            (Origin::Source { changed: false }, None, Request::Fresh, import(Reason::Imported, true)),
            (Origin::Adopt(&wanted), None, Request::None, import(Reason::Imported, false)),
            (Origin::Adopt(&wanted), made(None), Request::None, wanted_as_is),
            (Origin::Adopt(&wanted), made(None), Request::Fresh, asked),
            (Origin::Source { changed: false }, None, Request::None, import(Reason::Imported, false)),
            (Origin::Source { changed: true }, made(None), Request::None, import(Reason::SourceChanged, false)),
            (Origin::Source { changed: false }, made(None), Request::None, wanted_as_is),
            (Origin::Source { changed: false }, made(None), Request::Fresh, keep(false, Answer::NeedsGenerator)),
            (Origin::Input, None, Request::None, Due::WaitForInput),
            (Origin::Input, None, Request::Fresh, Due::WaitForInput),
            (Origin::Input, made(None), Request::None, wanted_as_is),
            (Origin::Input, made(None), Request::Fresh, keep(false, Answer::NeedsGenerator)),
        ];
        for (origin, newest, request, expected) in table {
            assert_eq!(due(origin, newest, request), expected, "{origin:?} {newest:?} {request:?}");
        }
    }
}
