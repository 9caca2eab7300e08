//! What the derived schema is brought to before it is installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// Takes `nullable` out of every field: an explicit null is then pruned by the API server, so that it means the same as
/// an absent field, to CEL rules too.
pub fn without_nulls(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut schema = serde_json::to_value(crd).expect("a definition is JSON");
    prune(&mut schema);
    serde_json::from_value(schema).expect("what was taken out is optional")
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("nullable");
            if let Some(Value::Array(words)) = members.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            members.values_mut().for_each(prune);
        }
        Value::Array(elements) => elements.iter_mut().for_each(prune),
        _ => {}
    }
}
