//! What changes by itself: by time, by an edit that says so, and never twice for one reason.

use jiff::SignedDuration;

use super::*;
use crate::domain::{
    rotation::{By, ByTime, OnChange},
    schedule::Turn,
};

fn daily() -> Wanted {
    let rotation = Rotation { by: By::Every(SignedDuration::from_hours(24)), ..Rotation::default() };
    Wanted { rotation, ..wanted(WantedOrigin::Generate(password(20))) }
}

impl World {
    async fn at(&self, at: Timestamp, wanted: Wanted, around: &Around) -> (Version, bool, Kept) {
        let operator = Caller::operator("shop", self.epoch, at);
        match self.hub.ensure(&operator, wanted, around).await.unwrap() {
            Ensured::Ready { version, made, kept, .. } => (*version, made, kept),
            other => panic!("{other:?}"),
        }
    }
}

fn hours_later(hours: i64) -> Timestamp {
    noon() + SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn a_value_is_rotated_when_its_time_has_come_and_not_before() {
    let w = world().await;
    let free = Around::default();
    let next_at = |hours| Turn::NotDue(ByTime::At(hours_later(hours)));

    let (first, made, kept) = w.at(noon(), daily(), &free).await;
    assert_eq!((first.row.number, made, kept.turn), (1, true, next_at(24)));
    let before = hours_later(24) - SignedDuration::from_millis(1);
    let (same, made, kept) = w.at(before, daily(), &free).await;
    assert_eq!((same.row.id, made, kept.turn), (first.row.id, false, next_at(24)));

    let (second, made, kept) = w.at(hours_later(24), daily(), &free).await;
    assert_eq!((second.row.number, second.row.reason, made, kept.turn), (2, Reason::Scheduled, true, next_at(48)));
    assert_ne!(plain(&second), plain(&first));
    let (same, made, _) = w.at(hours_later(25), daily(), &free).await;
    assert_eq!((same.row.id, made), (second.row.id, false));
}

#[tokio::test]
async fn a_week_of_absence_makes_one_version() {
    let w = world().await;
    let free = Around::default();
    w.at(noon(), daily(), &free).await;
    assert_eq!(w.at(hours_later(7 * 24), daily(), &free).await.0.row.number, 2);
    assert_eq!(w.at(hours_later(7 * 24 + 1), daily(), &free).await.0.row.number, 2);
}

#[tokio::test]
async fn whoever_has_to_wait_is_told_its_turn_and_keeps_its_value() {
    let w = world().await;
    let (first, ..) = w.at(noon(), daily(), &Around::default()).await;
    let turn = hours_later(26);
    let (same, made, kept) = w.at(hours_later(25), daily(), &Around { turn: Some(turn), gone: false }).await;
    assert_eq!((same.row.id, made, kept.turn), (first.row.id, false, Turn::Throttled(turn)));
}

#[tokio::test]
async fn other_parameters_make_a_version_only_where_the_object_says_so() {
    let w = world().await;
    let free = Around::default();
    let with = |length, on_change| Wanted {
        rotation: Rotation { on_change, ..Rotation::default() },
        ..wanted(WantedOrigin::Generate(password(length)))
    };
    w.at(noon(), with(20, OnChange::Regenerate), &free).await;

    let (kept_one, made, kept) = w.at(hours_later(1), with(30, OnChange::Keep), &free).await;
    assert_eq!((kept_one.row.number, made, kept.drifted), (1, false, true));
    let (second, made, kept) = w.at(hours_later(1), with(30, OnChange::Regenerate), &free).await;
    assert_eq!((second.row.reason, made, kept.drifted), (Reason::ParametersChanged, true, false));
    assert_eq!(plain(&second).len(), 30);
    assert!(!w.at(hours_later(2), with(30, OnChange::Regenerate), &free).await.1);
}
