//! What is due for a credential that a resource describes, and why.
//!
//! Pure: what the store holds, what the resource wants and what the clock says go in, one decision comes out. At most one
//! version is made for one decision, and none for a value that is already there unless somebody asked: by a request, by
//! a schedule, by an edit that says to regenerate, or by a new version of the signer.

use jiff::Timestamp;

use super::{
    converge,
    ids::VersionId,
    parameters::Parameters,
    rotation::{ByTime, OnChange},
    stamp::Reason,
};

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

/// The version that is handed out now.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// What it was generated from, where it was.
    pub parameters: Option<&'a Parameters>,
    /// When it is to be followed by another.
    pub by_time: ByTime,
    /// The authority that signed it hands out another version by now.
    pub signer_changed: bool,
    /// It is an authority, and what it signed is in use: in its place another would leave all of that unverified.
    pub has_leaves: bool,
    /// A transitional version stands beside it already.
    pub in_transition: bool,
}

/// What the resource says about change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub request: Request,
    pub on_change: OnChange,
    pub now: Timestamp,
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
    /// Nothing: the version stays.
    Keep(Kept),
    /// Generate a version.
    Generate(Making),
    /// Take the bytes of the source; `requested` where the first version answers the request by annotation.
    Import { reason: Reason, requested: bool },
    /// There is no version and nothing to make one from.
    WaitForInput,
}

/// A version that is to be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Making {
    pub reason: Reason,
    /// It answers the request by annotation.
    pub requested: bool,
    /// It is trusted and signs nothing yet: the authority before it goes on.
    pub transitional: bool,
    /// The version before it was made from other parameters.
    pub drifted: bool,
}

impl Making {
    /// Whether nobody asked for it now, so that it can wait for its turn.
    pub fn is_unasked(self) -> bool {
        matches!(self.reason, Reason::Scheduled | Reason::SignerChanged)
    }
}

/// What is to be said about a version that stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// It was made from other parameters, and the spec says to keep it.
    pub drifted: bool,
    pub request: Answer,
    pub turn: Turn,
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

/// How a version stands to its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Not due before that.
    NotDue(ByTime),
    /// Due, or begun with a transitional version, and what it signed is in use: an authority is changed in steps.
    NeedsSteps,
    /// Due, and others are first.
    Throttled(Timestamp),
}

impl Default for Turn {
    fn default() -> Self {
        Self::NotDue(ByTime::Never)
    }
}

/// Decides what is due.
pub fn due(origin: Origin<'_>, current: Option<Current<'_>>, terms: Terms) -> Due {
    let fresh = terms.request == Request::Fresh;
    let Some(current) = current else {
        return match origin {
            // A fresh request is met by the first version: the manifest that carries it asks for nothing more.
            Origin::Generate(_) => {
                let reason = Reason::Generated;
                Due::Generate(Making { reason, requested: fresh, transitional: false, drifted: false })
            }
            Origin::Source { .. } | Origin::Adopt(_) => Due::Import { reason: Reason::Imported, requested: fresh },
            Origin::Input => Due::WaitForInput,
        };
    };
    if let Origin::Source { changed: true } = origin {
        return Due::Import { reason: Reason::SourceChanged, requested: false };
    }
    let (Origin::Generate(wanted) | Origin::Adopt(wanted)) = origin else {
        let request = if terms.request == Request::None { Answer::NotAsked } else { Answer::NeedsGenerator };
        return Due::Keep(Kept { request, ..Kept::default() });
    };
    let (reason, drifted) = unasked(current, wanted, terms);
    let held = current.has_leaves && current.in_transition;
    if fresh && !held {
        let transitional = current.has_leaves;
        return Due::Generate(Making { reason: Reason::Requested, requested: true, transitional, drifted });
    }
    let request = match terms.request {
        Request::Used(version) => Answer::AlreadyUsed(version),
        Request::None | Request::Fresh => Answer::NotAsked,
    };
    match reason {
        Some(reason) if !current.has_leaves => {
            Due::Generate(Making { reason, requested: false, transitional: false, drifted })
        }
        None if !held => Due::Keep(Kept { drifted, request, turn: Turn::NotDue(current.by_time) }),
        _ => Due::Keep(Kept { drifted, request, turn: Turn::NeedsSteps }),
    }
}

/// Why a version is due that no request asks for, and whether the one that is there was made from other parameters.
fn unasked(current: Current<'_>, wanted: &Parameters, terms: Terms) -> (Option<Reason>, bool) {
    // One that was given was made from none.
    let drifted = current.parameters.is_some_and(|stored| !converge::same(stored, wanted));
    let regenerate = terms.on_change == OnChange::Regenerate;
    let reason = if regenerate && drifted {
        Some(Reason::ParametersChanged)
    } else if regenerate && current.signer_changed {
        Some(Reason::SignerChanged)
    } else if current.by_time.is_due(terms.now) {
        Some(Reason::Scheduled)
    } else {
        None
    };
    (reason, drifted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::parameters::PasswordParameters, world::SeededEntropy};

    fn password(length: u16) -> Parameters {
        Parameters::password(PasswordParameters { length: Some(length), ..Default::default() })
    }

    fn noon() -> Timestamp {
        "2026-01-16T12:00:00Z".parse().unwrap()
    }

    fn made(parameters: Option<&Parameters>) -> Current<'_> {
        Current { parameters, by_time: ByTime::Never, signer_changed: false, has_leaves: false, in_transition: false }
    }

    fn terms(request: Request) -> Terms {
        Terms { request, on_change: OnChange::Keep, now: noon() }
    }

    fn generate(reason: Reason) -> Due {
        let requested = reason == Reason::Requested;
        Due::Generate(Making { reason, requested, transitional: false, drifted: false })
    }

    #[test]
    fn a_value_is_made_only_where_there_is_none_or_somebody_asked() {
        let (wanted, other) = (password(20), password(40));
        let used = VersionId::new(&SeededEntropy::new(1));
        let made = |parameters| Some(made(parameters));
        let generated = Origin::Generate(&wanted);
        let first = |requested| {
            let reason = Reason::Generated;
            Due::Generate(Making { reason, requested, transitional: false, drifted: false })
        };
        let asked = generate(Reason::Requested);
        let keep = |drifted, request| Due::Keep(Kept { drifted, request, ..Kept::default() });
        let import = |reason, requested| Due::Import { reason, requested };
        let (wanted_as_is, used_before) = (keep(false, Answer::NotAsked), Answer::AlreadyUsed(used));
        let table = [
            (generated, None, Request::None, first(false)),
            (generated, None, Request::Fresh, first(true)),
            (generated, None, Request::Used(used), first(false)),
            (generated, made(Some(&wanted)), Request::None, wanted_as_is),
            (generated, made(Some(&wanted)), Request::Fresh, asked),
            (generated, made(Some(&wanted)), Request::Used(used), keep(false, used_before)),
            (generated, made(Some(&other)), Request::None, keep(true, Answer::NotAsked)),
            (generated, made(Some(&other)), Request::Used(used), keep(true, used_before)),
            (generated, made(None), Request::None, wanted_as_is),
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
        for (origin, current, request, expected) in table {
            assert_eq!(due(origin, current, terms(request)), expected, "{origin:?} {current:?} {request:?}");
        }
    }

    #[test]
    fn a_schedule_an_edit_and_a_new_signer_each_give_their_reason() {
        let (wanted, other) = (password(20), password(40));
        let (past, future) = (ByTime::At(noon()), ByTime::At(noon() + jiff::SignedDuration::from_secs(1)));
        let same = made(Some(&wanted));
        let drifted = made(Some(&other));
        let scheduled = Current { by_time: past, ..same };
        let signed_anew = Current { signer_changed: true, ..same };
        let reason = Reason::ParametersChanged;
        let over_drifted = Due::Generate(Making { reason, requested: false, transitional: false, drifted: true });
        let keep = |drifted, by_time| Due::Keep(Kept { drifted, turn: Turn::NotDue(by_time), ..Kept::default() });
        let table = [
            (scheduled, OnChange::Keep, generate(Reason::Scheduled)),
            (Current { by_time: future, ..same }, OnChange::Keep, keep(false, future)),
            (drifted, OnChange::Keep, keep(true, ByTime::Never)),
            (drifted, OnChange::Regenerate, over_drifted),
            (signed_anew, OnChange::Keep, keep(false, ByTime::Never)),
            (signed_anew, OnChange::Regenerate, generate(Reason::SignerChanged)),
            // A value that was given, or taken over, has no parameters that could have changed.
            (made(None), OnChange::Regenerate, keep(false, ByTime::Never)),
        ];
        for (current, on_change, expected) in table {
            let terms = Terms { on_change, ..terms(Request::None) };
            assert_eq!(due(Origin::Generate(&wanted), Some(current), terms), expected, "{current:?} {on_change:?}");
        }
    }

    #[test]
    fn nothing_by_itself_changes_an_authority_whose_leaves_are_in_use() {
        let (wanted, other) = (password(20), password(40));
        let ca = Current { has_leaves: true, by_time: ByTime::At(noon()), ..made(Some(&other)) };
        for on_change in [OnChange::Keep, OnChange::Regenerate] {
            let terms = Terms { on_change, ..terms(Request::None) };
            let held = Kept { drifted: true, turn: Turn::NeedsSteps, ..Kept::default() };
            assert_eq!(due(Origin::Generate(&wanted), Some(ca), terms), Due::Keep(held));
        }
        let asked = Making { reason: Reason::Requested, requested: true, transitional: true, drifted: true };
        assert_eq!(due(Origin::Generate(&wanted), Some(ca), terms(Request::Fresh)), Due::Generate(asked));
    }

    #[test]
    fn an_authority_has_one_transitional_version_at_a_time() {
        let wanted = password(20);
        let ca = Current { has_leaves: true, in_transition: true, ..made(Some(&wanted)) };
        let held = Due::Keep(Kept { turn: Turn::NeedsSteps, ..Kept::default() });
        for request in [Request::None, Request::Fresh] {
            assert_eq!(due(Origin::Generate(&wanted), Some(ca), terms(request)), held);
        }
        let unused = Current { has_leaves: false, ..ca };
        assert_eq!(due(Origin::Generate(&wanted), Some(unused), terms(Request::Fresh)), generate(Reason::Requested));
    }
}
