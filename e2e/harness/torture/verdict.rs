//! The journal against the store: what was lost, made twice, or seen half written.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use super::{
    journal::{Entry, Parts},
    store::Stored,
};

/// What is wrong, a line for each. No line holds a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub acknowledged: usize,
    pub lost: Vec<String>,
    pub duplicated: Vec<String>,
    pub half_written: Vec<String>,
}

/// Compares everything.
pub fn judge(journal: &[Entry], store: &[Stored]) -> Verdict {
    let mut verdict =
        Verdict { acknowledged: journal.iter().filter(|entry| entry.is_acknowledged()).count(), ..Verdict::default() };
    verdict.look_for_lost(journal, store);
    verdict.look_for_half_written(journal, store);
    verdict.look_for_duplicated(journal, store);
    verdict
}

/// In passing: which acknowledged versions are not there, by id and number alone.
pub fn missing(journal: &[Entry], ids: &HashMap<String, i64>) -> Vec<String> {
    let is_missing = |entry: &&Entry| match entry {
        Entry::Version { id, .. } | Entry::Secret { id, .. } => !ids.contains_key(id),
        Entry::Status { id, number, .. } => ids.get(id) != Some(number),
        _ => false,
    };
    journal.iter().filter(is_missing).map(|entry| format!("{entry:?}")).collect()
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.duplicated.is_empty() && self.half_written.is_empty()
    }

    fn look_for_lost(&mut self, journal: &[Entry], store: &[Stored]) {
        let by_id: HashMap<_, _> = store.iter().map(|version| (version.id.as_str(), version)).collect();
        let of_objects: HashSet<_> = journal.iter().filter_map(path_of_an_object).collect();
        // What the API said last about a path that only it writes; `None` where a question was left without an answer.
        let mut last: BTreeMap<&str, Option<Option<&str>>> = BTreeMap::new();
        for entry in journal {
            let kept = |path: &str, id: &str, fits: &dyn Fn(&Stored) -> bool| {
                by_id.get(id).is_some_and(|version| version.path == path && fits(version))
            };
            let is_there = match entry {
                Entry::Version { path, id, parts } => kept(path, id, &|version| version.parts == *parts),
                Entry::Status { path, id, number, .. } => kept(path, id, &|version| version.number == *number),
                Entry::Secret { path, id, .. } => kept(path, id, &|_| true),
                _ => true,
            };
            if !is_there {
                self.lost.push(format!("{entry:?}"));
            }
            match entry {
                // A read that shows something else than the answer before it, although nobody asked for a change.
                Entry::Version { path, id, .. }
                    if last.get(path.as_str()).is_some_and(|said| is_other(said, Some(id))) =>
                {
                    self.unsettled(path, &format!("version {id}"), &of_objects);
                }
                Entry::Absent { path } if last.get(path.as_str()).is_some_and(|said| is_other(said, None)) => {
                    self.unsettled(path, "nothing", &of_objects);
                }
                _ => {}
            }
            match entry {
                Entry::Asked { path } | Entry::AskedToDelete { path } => _ = last.insert(path, None),
                Entry::Version { path, id, .. } => _ = last.insert(path, Some(Some(id))),
                Entry::Deleted { path } | Entry::Absent { path } => _ = last.insert(path, Some(None)),
                _ => {}
            }
        }
        for (path, said) in last.into_iter().filter(|(path, _)| !of_objects.contains(path)) {
            let current = store.iter().find(|version| version.path == path && version.current && !version.deleted);
            let current = current.map(|version| version.id.as_str());
            if said.is_some_and(|said| said != current) {
                self.lost.push(format!("{path} has version {current:?}, and the last answer was {said:?}"));
            }
        }
    }

    fn unsettled(&mut self, path: &str, now: &str, of_objects: &HashSet<&str>) {
        if !of_objects.contains(path) {
            self.lost.push(format!("{path} shows {now}, and the answer before was another one"));
        }
    }

    fn look_for_half_written(&mut self, journal: &[Entry], store: &[Stored]) {
        let parts: HashMap<&str, &Parts> = store.iter().map(|version| (version.id.as_str(), &version.parts)).collect();
        for version in store.iter().filter(|version| !version.belong_together) {
            self.half_written.push(format!("{} version {}: its parts are of two keys", version.path, version.number));
        }
        for entry in journal {
            if let Entry::Secret { id, parts: seen, .. } = entry
                && parts.get(id.as_str()).is_some_and(|parts| *parts != seen)
            {
                self.half_written.push(format!("{entry:?}"));
            }
        }
    }

    fn look_for_duplicated(&mut self, journal: &[Entry], store: &[Stored]) {
        let asked = |is: fn(&Entry) -> Option<&str>| {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            journal.iter().filter_map(is).for_each(|path| *counts.entry(path).or_default() += 1);
            counts
        };
        let by_api = asked(|entry| if let Entry::Asked { path } = entry { Some(path) } else { None });
        let rotations = asked(|entry| if let Entry::Rotation { path } = entry { Some(path) } else { None });
        let sources = asked(|entry| if let Entry::Source { path } = entry { Some(path) } else { None });
        let many = |counts: &HashMap<&str, usize>, path: &str| counts.get(path).copied().unwrap_or(0);

        let (mut requests, mut numbers, mut values) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut made: BTreeMap<(&str, Made), usize> = BTreeMap::new();
        let mut before: HashMap<&str, i64> = HashMap::new();
        for version in store {
            let last = before.insert(&version.credential, version.created_ms);
            let too_early = Made::of(version) == Made::ByTime
                && last.is_some_and(|last| version.created_ms - last < SHORTEST_INTERVAL_MS);
            *made.entry((&version.path, Made::of(version))).or_default() += 1;
            let twice = [
                (version.request.as_ref().is_some_and(|request| !requests.insert(request)), "its request"),
                (!numbers.insert((&version.credential, version.number)), "its number"),
                // Every value is random or made up anew, so equal ones come from one wish.
                (!values.insert(&version.parts), "its value"),
                (too_early, "its time, which had not come,"),
            ];
            for (_, what) in twice.iter().filter(|(twice, _)| *twice) {
                self.duplicated.push(format!("{} version {}: {what} made another one", version.path, version.number));
            }
        }
        for ((path, how), count) in made {
            let most = match how {
                Made::First => 1,
                Made::ByTime => usize::MAX, // each was looked at
                Made::ByRequest => many(&rotations, path),
                Made::FromSource => many(&sources, path),
                Made::OverTheApi => many(&by_api, path),
            };
            if count > most {
                self.duplicated.push(format!("{path}: {count} versions {how}, and {most} were asked for"));
            }
        }
    }
}

/// What may make a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Made {
    First,
    ByTime,
    ByRequest,
    FromSource,
    OverTheApi,
}

impl Made {
    fn of(version: &Stored) -> Self {
        match (version.by_operator, version.reason.as_str()) {
            (false, _) => Self::OverTheApi,
            (true, "Generated" | "Imported") => Self::First,
            (true, "SourceChanged") => Self::FromSource,
            (true, "Scheduled") => Self::ByTime,
            (true, _) => Self::ByRequest,
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "because there was none",
            Self::ByTime => "because it was time",
            Self::ByRequest => "because of an annotation",
            Self::FromSource => "because the source changed",
            Self::OverTheApi => "over the API",
        })
    }
}

fn is_other(said: &Option<Option<&str>>, now: Option<&str>) -> bool {
    said.is_some_and(|said| said != now)
}

fn path_of_an_object(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Status { path, .. } | Entry::Secret { path, .. } => Some(path),
        _ => None,
    }
}

/// Of a minute, with half of it taken off.
const SHORTEST_INTERVAL_MS: i64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(word: &str) -> Parts {
        [("password".to_owned(), word.to_owned())].into()
    }

    fn stored(id: &str, number: i64) -> Stored {
        Stored {
            id: id.into(),
            credential: "c".into(),
            path: "/a".into(),
            number,
            reason: "SetByAPI".into(),
            by_operator: false,
            request: None,
            parts: parts(id),
            belong_together: true,
            created_ms: 1000 * number,
            deleted: false,
            current: number == 2,
        }
    }

    fn version(id: &str) -> Entry {
        Entry::Version { path: "/a".into(), id: id.into(), parts: parts(id) }
    }

    fn asked() -> Entry {
        Entry::Asked { path: "/a".into() }
    }

    #[test]
    fn what_is_as_it_was_acknowledged_is_clean() {
        let verdict = judge(&[asked(), version("one"), asked(), version("two")], &[stored("one", 1), stored("two", 2)]);
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!(verdict.acknowledged, 2);
    }

    #[test]
    fn each_kind_of_damage_is_found() {
        let journal = [asked(), version("one"), asked(), version("two")];
        let lost = judge(&journal, &[stored("one", 1)]);
        assert_eq!(lost.lost.len(), 2, "the version, and that it is the newest: {lost:?}");
        let changed = Stored { parts: parts("other"), ..stored("two", 2) };
        assert_eq!(judge(&journal, &[stored("one", 1), changed]).lost.len(), 1);
        let twice = [stored("one", 1), stored("two", 2), Stored { number: 3, ..stored("three", 3) }];
        assert_eq!(judge(&journal, &twice).duplicated.len(), 1);
        let same = Stored { parts: parts("one"), ..stored("two", 2) };
        assert_eq!(judge(&journal[..3], &[stored("one", 1), same]).duplicated.len(), 1);
        let half = Entry::Secret { path: "/a".into(), id: "two".into(), parts: parts("one") };
        assert_eq!(judge(&[asked(), asked(), half], &[stored("one", 1), stored("two", 2)]).half_written.len(), 1);
        let torn = Stored { belong_together: false, ..stored("two", 2) };
        assert_eq!(judge(&journal, &[stored("one", 1), torn]).half_written.len(), 1);
        let early = Stored { reason: "Scheduled".into(), by_operator: true, ..stored("three", 3) };
        assert_eq!(judge(&journal, &[stored("one", 1), stored("two", 2), early]).duplicated.len(), 1);
        let undeleted =
            [asked(), version("two"), Entry::AskedToDelete { path: "/a".into() }, Entry::Deleted { path: "/a".into() }];
        assert_eq!(judge(&undeleted, &[stored("two", 2)]).lost.len(), 1);
    }
}
