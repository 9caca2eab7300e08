//! A caller looks for names.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, future, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};

use super::{Caller, Error, Hub, Who};
use crate::{
    auth::Identity,
    domain::{
        Operation,
        name::{Pattern, first_segment},
    },
    store::{self, Found},
};

impl Hub {
    /// The names that fit and that the caller may see, most recently written first.
    ///
    /// Asks for access cluster-wide once, else for each first segment that holds a hit, at most 100 of them.
    pub async fn find(&self, caller: &Caller, pattern: Pattern) -> Result<BoxStream<'_, Result<Found, Error>>, Error> {
        let found = self.store.find(pattern.clone());
        self.visible(caller, pattern, found).await
    }

    /// Of these, the ones whose newest version has expired or does so within that many days, in no particular order.
    pub async fn expiring(
        &self,
        caller: &Caller,
        pattern: Pattern,
        days: i32,
    ) -> Result<BoxStream<'_, Result<Found, Error>>, Error> {
        let span = SignedDuration::from_hours(24 * i64::from(days));
        let end = if days < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let until = self.clock.now().checked_add(span).unwrap_or(end);
        let found = self.store.expiring(pattern.clone(), until);
        self.visible(caller, pattern, found).await
    }

    async fn visible<'a>(
        &'a self,
        caller: &Caller,
        pattern: Pattern,
        found: BoxStream<'a, Result<Found, store::Error>>,
    ) -> Result<BoxStream<'a, Result<Found, Error>>, Error> {
        match &caller.who {
            Who::Operator { namespace, .. } => {
                let namespace = namespace.clone();
                Ok(only(found, move |segment| segment == namespace))
            }
            Who::Client(identity) if self.lists(identity, None).await? => Ok(found.map_err(Error::from).boxed()),
            Who::Client(identity) => {
                let mut visible = BTreeSet::new();
                for segment in self.segments(&pattern).await? {
                    if self.lists(identity, Some(&segment)).await? {
                        visible.insert(segment);
                    }
                }
                Ok(only(found, move |segment| visible.contains(segment)))
            }
        }
    }

    /// The first segments of all names that fit. Their number is bounded, since each costs a question.
    async fn segments(&self, pattern: &Pattern) -> Result<BTreeSet<String>, Error> {
        if let Pattern::Below(prefix) = pattern
            && prefix.len() > 1
        {
            return Ok(BTreeSet::from([first_segment(prefix).to_owned()]));
        }
        let mut segments = BTreeSet::new();
        let mut found = self.store.find(pattern.clone());
        while let Some(found) = found.next().await {
            // A damaged row is told once, by the stream that the caller reads.
            let Ok(found) = found else { continue };
            segments.insert(found.name.namespace().to_owned());
            if segments.len() > MOST_SEGMENTS {
                return Err(Error::Invalid(format!(
                    "you may not list everything, and the search has hits below more than {MOST_SEGMENTS} first segments, \
                     each of which is asked about: search below one of them, with `path=/SEGMENT` (`credhub find -p /SEGMENT`)"
                )));
            }
        }
        Ok(segments)
    }

    async fn lists(&self, identity: &Identity, namespace: Option<&str>) -> Result<bool, Error> {
        let allowed = self.reviewer.allows(identity, Operation::Find, namespace).await;
        allowed.map_err(|error| Error::Unavailable(error.to_string()))
    }
}

fn only<'a>(
    found: BoxStream<'a, Result<Found, store::Error>>,
    is_visible: impl Fn(&str) -> bool + Send + 'a,
) -> BoxStream<'a, Result<Found, Error>> {
    let visible = found.try_filter(move |found| future::ready(is_visible(found.name.namespace())));
    visible.map_err(Error::from).boxed()
}

const MOST_SEGMENTS: usize = 100;
