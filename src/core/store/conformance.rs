//! The contract with storage as functions over `&dyn Store`, each with a fresh store.
//!
//! Every backend runs all of them by [`conformance!`](crate::conformance), one test for each, so that a failure has a
//! name. A bug that is found in one backend becomes a function here before it is fixed.

mod deletes;
mod lists;
mod owners;
mod trail;
mod versions;
mod writers;

use jiff::Timestamp;

pub use deletes::*;
pub use lists::*;
pub use owners::*;
pub use trail::*;
pub use versions::*;
pub use writers::*;

use super::{AuditLine, CredentialRow, Delete, Error, Facts, PutOwner, PutVersion, Store, VersionRow, WriteMode};
use crate::{
    domain::{
        Actor, CredentialId, CredentialName, CredentialType, Epoch, NamespaceUid, ObjectUid, Reason, Stamp, VersionId,
        ids::DataKeyId,
        ownership::{ApiWrites, Owner, OwnerObject},
    },
    keyring::{DataKeyRow, KeyId, Purpose, Sealed, WrappedKey},
    world::SystemEntropy,
};

/// One `#[tokio::test]` for each function of the contract. The expression makes an empty store, may `await`, and gives
/// something that dereferences to it.
#[macro_export]
macro_rules! conformance {
    ($store:expr) => {
        $crate::conformance! { @each $store;
            // versions
            a_version_gets_the_next_number_and_a_later_time
            two_versions_in_the_same_millisecond_rise
            a_version_of_an_earlier_time_comes_after_the_newest
            a_time_is_kept_to_the_millisecond
            a_name_is_found_in_any_case_and_keeps_its_first_spelling
            every_column_of_a_version_comes_back_as_it_was_put
            a_version_without_facts_comes_back_without
            versions_are_listed_newest_first_and_as_many_as_asked
            a_version_is_found_by_its_id
            what_is_not_there_is_not_found
            a_transitional_version_is_not_handed_out_while_there_is_another
            the_newest_version_from_a_source_is_found_behind_others
            the_credential_knows_its_newest_version
            create_only_is_refused_where_a_version_exists
            create_only_holds_where_a_name_is_claimed_without_versions
            after_holds_where_that_version_is_the_newest
            after_is_refused_where_another_version_is_the_newest
            after_is_refused_where_there_is_no_version
            a_proposed_id_that_is_not_the_credentials_is_a_conflict_that_names_the_true_one
            a_proposed_id_that_is_anothers_is_a_conflict_that_names_none
            another_type_is_refused
            a_claimed_name_without_versions_changes_its_type_by_its_claim_alone
            a_request_makes_one_version_for_ever
            a_refused_write_leaves_nothing_behind
            // owners
            a_claim_makes_a_credential_without_versions
            a_claim_of_what_is_there_keeps_its_id_and_versions
            a_claim_is_refused_where_the_owner_is_not_the_one_that_was_seen
            a_claim_of_another_type_is_refused_where_there_are_versions
            a_claim_with_an_id_that_is_taken_is_a_conflict_that_names_none
            a_write_keeps_the_owner
            the_credential_knows_the_namespace_of_whoever_wrote_last
            a_write_is_refused_where_another_object_has_the_name_than_the_writer_saw
            a_release_forgets_the_object_and_keeps_the_namespace
            a_release_of_an_object_that_has_nothing_changes_nothing
            each_epoch_is_higher_than_the_one_before
            an_older_epoch_is_fenced
            a_write_without_an_epoch_is_not_fenced
            // deletes
            a_deleted_credential_frees_its_name_and_keeps_its_versions
            a_name_that_is_written_again_begins_anew
            a_proposed_id_of_a_tombstone_is_a_conflict_that_names_none
            a_delete_is_refused_where_another_object_has_the_credential
            deleting_what_is_not_there_changes_nothing
            // lists
            a_path_finds_what_lies_below_it_and_not_its_neighbours
            a_text_is_found_anywhere_in_a_name
            percent_and_underscore_mean_themselves
            finds_come_newest_first
            a_name_without_versions_is_not_found
            a_deleted_name_is_not_found
            what_expires_by_then_is_found_by_its_newest_version
            a_long_list_gives_each_name_once
            a_list_that_nobody_reads_on_is_no_burden
            every_credential_with_an_object_is_listed_and_no_other
            what_an_authority_signed_is_listed_while_it_is_current_and_valid
            // trail
            every_write_step_adds_one_audit_line_and_a_refused_one_none
            the_audit_chain_links
            a_changed_audit_trail_is_found_out
            audit_lines_come_newest_first_and_as_many_as_asked
            changes_are_told_after_the_step
            a_refused_step_tells_nothing
            one_data_key_is_active_for_each_purpose
            data_keys_come_back_as_they_were_added
            a_rewrap_replaces_the_wrapping_that_was_seen_and_no_other
            a_setting_is_written_once
            what_is_sealed_is_known_of_also_behind_a_tombstone
            a_sealed_setting_is_known_of
            the_store_answers
            // writers
            of_many_create_only_writers_one_makes_a_version
            concurrent_overwrites_number_without_gaps
            of_many_writers_after_the_same_version_one_is_next
            of_many_claims_of_one_name_one_holds
            of_many_writers_with_one_request_one_makes_a_version
            a_refused_writer_does_not_touch_its_neighbours
        }
    };
    (@each $store:expr; $($name:ident)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let store = $store;
                $crate::store::conformance::$name(&*store).await;
            }
        )+
    };
}

/// A version of type `value` under a fresh proposed id, overwriting whatever is there.
pub fn put(path: &str) -> PutVersion {
    PutVersion {
        credential: CredentialId::new(&SystemEntropy),
        version: VersionId::new(&SystemEntropy),
        name: name(path),
        kind: CredentialType::Value,
        sealed: sealed(path),
        parameters: None,
        metadata: None,
        facts: Facts::default(),
        mode: WriteMode::Overwrite,
        holder: None,
        namespace: None,
        request: None,
        epoch: None,
        stamp: stamp(0),
        reason: Reason::SetByAPI,
        audit: audit_line("set", path),
    }
}

/// Puts, and where the name exists puts again under its true id and for its true holder, as every caller does.
pub async fn put_again(store: &dyn Store, mut put: PutVersion) -> Result<VersionRow, Error> {
    loop {
        match store.put_version(put.clone()).await {
            Err(Error::Conflict { credential: Some(id), .. }) if id != put.credential => put.credential = id,
            Err(Error::OtherHolder(holder)) => put.holder = holder,
            other => return other,
        }
    }
}

async fn written(store: &dyn Store, path: &str) -> VersionRow {
    put_again(store, put(path)).await.expect("the path is free or of type value")
}

/// A claim of a path that nobody has.
pub fn claim(path: &str, owner: Owner, epoch: Epoch) -> PutOwner {
    PutOwner {
        name: name(path),
        kind: CredentialType::Value,
        credential: CredentialId::new(&SystemEntropy),
        was: Owner::default(),
        owner,
        epoch,
        at: at(0),
        audit: audit_line("claim", path),
    }
}

async fn claimed(store: &dyn Store, path: &str, owner: Owner) -> (CredentialRow, Epoch) {
    let epoch = store.raise_epoch().await.expect("the store answers");
    (store.claim(claim(path, owner, epoch)).await.expect("nobody has the path"), epoch)
}

/// A delete by a caller, where no object has the path.
pub fn delete(path: &str) -> Delete {
    Delete { name: name(path), holder: None, epoch: None, stamp: stamp(0), audit: audit_line("delete", path) }
}

async fn deleted(store: &dyn Store, path: &str) -> CredentialRow {
    store.delete(delete(path)).await.expect("nobody has the path").expect("the path is there")
}

/// The object `shop/<uid>` of the namespace with UID `shop-uid`.
pub fn owner(object: &str) -> Owner {
    let object = OwnerObject {
        uid: ObjectUid::new(object),
        name: format!("shop/{object}"),
        api_writes: ApiWrites::GenerateOnly,
    };
    Owner { namespace: Some(NamespaceUid::new("shop-uid")), object: Some(object) }
}

fn data_key(purpose: Purpose, active: bool) -> DataKeyRow {
    DataKeyRow {
        id: DataKeyId::new(&SystemEntropy),
        purpose,
        wrapped: wrapped("file:0123456789abcdef"),
        canary: sealed("canary"),
        active,
    }
}

fn wrapped(master: &str) -> WrappedKey {
    WrappedKey { master: KeyId::from_stored(master), bytes: format!("wrapped by {master}").into_bytes() }
}

fn audit_line(action: &'static str, resource: &str) -> AuditLine {
    AuditLine { at: at(0), actor: Actor::operator(), action, resource: resource.to_owned(), details: "why".to_owned() }
}

fn name(path: &str) -> CredentialName {
    path.parse().expect("a path of this suite is a name")
}

fn sealed(text: &str) -> Sealed {
    let key = DataKeyId::new(&SystemEntropy);
    Sealed::from_stored([&[1], key.as_bytes().as_slice(), text.as_bytes()].concat())
}

fn stamp(ms: i64) -> Stamp {
    Stamp { actor: Actor::service_account("shop", "orders"), at: at(ms) }
}

/// A moment of January 2026, and so many milliseconds later.
fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_768_574_400_000 + ms).expect("within the years that can be written")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_function_of_the_contract_is_in_the_macro() {
        let macro_text = include_str!("conformance.rs");
        let files = [
            include_str!("conformance/deletes.rs"),
            include_str!("conformance/lists.rs"),
            include_str!("conformance/owners.rs"),
            include_str!("conformance/trail.rs"),
            include_str!("conformance/versions.rs"),
            include_str!("conformance/writers.rs"),
        ];
        let names = files.iter().flat_map(|file| file.lines()).filter_map(|line| line.strip_prefix("pub async fn "));
        for name in names.filter_map(|rest| rest.split('(').next()) {
            let listed = macro_text.lines().any(|line| line.trim() == name);
            assert!(listed, "add {name} to the macro conformance! in store/conformance.rs: no backend runs it");
        }
    }
}
