//! Which of the operator's requests count as what.

use std::collections::BTreeMap;

use credsmith_harness::requests::Request;
use serde::Serialize;

/// Requests of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// All of them.
    pub all: usize,
    /// Those about one object, events among them: what a credential costs.
    pub objects: usize,
    /// Of those, the ones that ask for a change.
    pub writes: usize,
    /// What a process begins with, however many objects there are.
    pub lists: usize,
    pub watches: usize,
    /// Of all, the ones that were answered with an error.
    pub failed: usize,
    /// By verb and resource.
    pub sorts: BTreeMap<String, usize>,
}

impl Counted {
    /// Counts them.
    pub fn of<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Self {
        let mut counted = Self::default();
        for request in requests {
            // One that is about no resource at all, such as `/version`, is about no object either.
            let is_about_one = !request.resource.is_empty() && request.about().is_some();
            counted.all += 1;
            counted.objects += usize::from(is_about_one);
            counted.writes += usize::from(is_about_one && request.writes());
            counted.lists += usize::from(request.verb == "list");
            counted.watches += usize::from(request.verb == "watch");
            counted.failed += usize::from(request.code >= 400);
            *counted.sorts.entry(format!("{} {}", request.verb, request.resource)).or_default() += 1;
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use credsmith_harness::{audit, requests::OPERATOR};

    use super::*;

    /// Counts what an audit log says.
    fn counted(lines: &[String]) -> Counted {
        let log = std::env::temp_dir().join(format!("credsmith-bench-{}-{:p}", std::process::id(), lines));
        std::fs::write(&log, lines.concat()).expect("a file");
        let events = audit::read(&log, &mut 0).expect("an audit log");
        std::fs::remove_file(&log).expect("it was there");
        Counted::of(&Request::of_user(OPERATOR, &events))
    }

    fn line(id: u32, user: &str, verb: &str, object: &str, code: u16) -> String {
        let object = if object.is_empty() { String::new() } else { format!(r#""objectRef":{{{object}}},"#) };
        let what = format!(r#""auditID":"{id}","stage":"ResponseComplete","requestURI":"/","verb":"{verb}""#);
        let answer = format!(r#""responseStatus":{{"code":{code}}},"requestReceivedTimestamp":"2026-01-16T14:40:00Z""#);
        format!("{{{what},\"user\":{{\"username\":\"{user}\"}},{object}{answer}}}\n")
    }

    const SECRET: &str = r#""resource":"secrets","namespace":"a","name":"c1""#;
    const STATUS: &str = r#""resource":"credentials","subresource":"status","namespace":"a","name":"c1""#;

    #[test]
    fn a_credential_costs_what_names_it_and_no_list() {
        let counted = counted(&[
            line(1, OPERATOR, "list", r#""resource":"secrets""#, 200),
            line(2, OPERATOR, "watch", r#""resource":"secrets""#, 200),
            line(3, OPERATOR, "create", SECRET, 201),
            line(4, OPERATOR, "patch", STATUS, 200),
            line(5, OPERATOR, "create", r#""resource":"events","namespace":"a","name":"c1.18a""#, 201),
            line(6, OPERATOR, "get", r#""resource":"namespaces","name":"a""#, 404),
            line(7, OPERATOR, "create", r#""resource":"tokenreviews""#, 201),
            line(8, OPERATOR, "get", "", 200),
            // The other stage of a request that was counted, and one of somebody else.
            line(3, OPERATOR, "create", SECRET, 201),
            line(9, "system:serviceaccount:credsmith-system:bench-floor", "create", SECRET, 201),
        ]);
        assert_eq!((counted.all, counted.objects, counted.writes), (8, 4, 3));
        assert_eq!((counted.lists, counted.watches, counted.failed), (1, 1, 1));
        assert_eq!(counted.sorts["patch credentials/status"], 1);
    }

    #[test]
    fn a_write_is_seen_where_there_should_be_none() {
        let watch = line(1, OPERATOR, "watch", r#""resource":"credentials""#, 200);
        assert_eq!(counted(std::slice::from_ref(&watch)).writes, 0);
        // Also one whose name the API server had not chosen yet.
        for object in [SECRET, STATUS, r#""resource":"secrets","namespace":"a""#] {
            assert_eq!(counted(&[watch.clone(), line(2, OPERATOR, "create", object, 409)]).writes, 1, "{object}");
        }
    }
}
