//! The main job, shown: each step prints the command before it runs it, and fails where the command does.

mod keys;

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::{cluster::named_context, sandbox::Sandbox, state};

/// Runs every step in a namespace of its own and says how many passed.
///
/// # Errors
/// Where the cluster does not come up, or a step failed; the steps after a failed one still run, since most do not need it.
pub async fn demo() -> Result<()> {
    keys::judges_are_here()?;
    let started = Instant::now();
    let sandbox = Sandbox::up(true).await?;
    let namespace = format!("demo-{}", state::random_hex(2));
    sandbox.will_have(&namespace)?;
    let mut passed = 0;
    let steps: Vec<_> = STEPS.iter().chain(keys::STEPS).collect();
    for (number, step) in steps.iter().enumerate() {
        match show(number + 1, step, &sandbox, &namespace) {
            Ok(()) => passed += 1,
            Err(error) => say(&format!("   FAILED: {error:#}\n")),
        }
    }
    let (all, seconds) = (steps.len(), started.elapsed().as_secs_f32());
    say(&format!("demo: {passed} of {all} steps passed in {seconds:.1} s"));
    say(&closing(named_context().as_deref(), &namespace));
    if passed == all { Ok(()) } else { bail!("{} of {all} steps failed", all - passed) }
}

/// What to do with what goes on running. Each command has to name the cluster that this one named.
fn closing(context: Option<&str>, namespace: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:/+".contains(c);
    let on = match context {
        Some(name) if name.chars().all(plain) => format!(" CONTEXT={name}"),
        Some(name) => format!(" CONTEXT='{}'", name.replace('\'', r"'\''")),
        None => String::new(),
    };
    format!(
        "\nIt goes on running. To play with it:\n\n  eval \"$(make -s env{on})\"\n  kubectl get credentials --namespace \
         {namespace}\n\n`make down{on}` ends it."
    )
}

/// One thing to see.
struct Step {
    title: &'static str,
    /// For a shell, with `kubectl`, `$URL`, `$CA` and `$NS` at hand.
    commands: &'static str,
    /// What the output must hold.
    expect: &'static [&'static str],
}

fn show(number: usize, step: &Step, sandbox: &Sandbox, namespace: &str) -> Result<()> {
    say(&format!("\n{number}. {}", step.title));
    for line in step.commands.trim().lines() {
        say(&format!("   $ {line}"));
    }
    let script = format!("{}{PRELUDE}{}{}", sandbox.exports(), keys::PRELUDE, step.commands);
    let mut shell = Command::new("bash")
        .args(["-euo", "pipefail", "-s"])
        .env("NS", namespace)
        .env("KUBECACHEDIR", sandbox.dir().join("kubecache"))
        .env("KUBERC", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start bash: install it")?;
    shell.stdin.take().context("a pipe was asked for")?.write_all(script.as_bytes())?;
    let output = shell.wait_with_output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    for line in text.trim_end().lines() {
        say(&format!("   {line}"));
    }
    if !output.status.success() {
        bail!("the command ended with {}", output.status);
    }
    match step.expect.iter().find(|expected| !text.contains(**expected)) {
        Some(missing) => bail!("the output does not hold {missing:?}"),
        None => Ok(()),
    }
}

#[expect(clippy::print_stdout, reason = "this is what a demonstration is for")]
fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush(); // a reader who went away needs nothing
}

/// Every command works in the demo's namespace; `api` asks the front as a ServiceAccount of it; `value` reads a Secret.
const PRELUDE: &str = r#"
kubectl() { command kubectl --namespace "$NS" "$@"; }
api() { local who=$1; shift; curl --silent --show-error --cacert "$CA" --header "Authorization: Bearer $(kubectl create token "$who" --audience credsmith)" "$@"; }
value() { kubectl get secret "$1" --output "jsonpath={.data.$2}" | base64 --decode; }
until_true() { for _ in $(seq 450); do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; echo "gave up waiting for: $*" >&2; return 1; }
"#;

const STEPS: &[Step] = &[
    Step {
        title: "A namespace, and two ServiceAccounts: one may read and write values, the other may not",
        commands: r#"command kubectl create namespace "$NS"
command kubectl label namespace "$NS" app.kubernetes.io/created-by=credsmith-harness
kubectl create serviceaccount app
kubectl create serviceaccount stranger
kubectl create role values --verb=get,list,update,delete --resource=credentials.credsmith.dev/value
kubectl create rolebinding values --role=values --serviceaccount="$NS:app"
"#,
        expect: &["rolebinding.rbac.authorization.k8s.io/values created"],
    },
    Step {
        title: "A password and a login: one object each, and the Secret appears",
        commands: r#"kubectl apply --filename deploy/samples/hello.yaml --filename deploy/samples/orders-db.yaml
kubectl wait --for=condition=Ready --timeout=30s credential/hello credential/orders-db
"#,
        expect: &["credential.credsmith.dev/hello condition met", "credential.credsmith.dev/orders-db condition met"],
    },
    Step {
        title: "A value that is given in a Secret which allows it",
        commands: r#"kubectl apply --server-side --filename deploy/samples/licence.yaml
kubectl wait --for=condition=Ready --timeout=30s credential/licence
"#,
        expect: &["credential.credsmith.dev/licence condition met"],
    },
    Step {
        title: "A JSON document that waits until it is set over the API; its Secret has one key for each text in it",
        commands: r#"kubectl apply --filename deploy/samples/settings.yaml
kubectl wait --for=jsonpath='{.status.conditions[0].reason}'=WaitingForInput --timeout=30s credential/settings
api app --request PUT --json "{\"name\": \"/$NS/settings\", \"type\": \"json\", \"value\": {\"host\": \"db\", \"user\": \"app\"}}" "$URL/api/v1/data" | jq --compact-output 'del(.value)'
kubectl wait --for=condition=Ready --timeout=30s credential/settings
kubectl get secret settings --output go-template='{{range $key, $_ := .data}}{{$key}} {{end}}'
"#,
        expect: &["credential.credsmith.dev/settings condition met", "host user"],
    },
    Step {
        title: "All of them at a glance",
        commands: "kubectl get credentials\n",
        expect: &["hello", "licence", "orders-db", "settings", "InSync"],
    },
    Step {
        title: "What a workload mounts: the keys of one Secret",
        commands: r#"kubectl get secret orders-db --output go-template='{{.type}}: {{range $key, $_ := .data}}{{$key}} {{end}}'
"#,
        expect: &["kubernetes.io/basic-auth: password password-hash username"],
    },
    Step {
        title: "The same value over HTTPS, with a ServiceAccount token",
        commands: r#"api app "$URL/api/v1/data?name=/$NS/hello&current=true" | jq --compact-output '.data[0] | del(.value)'
test "$(api app "$URL/api/v1/data?name=/$NS/hello&current=true" | jq --raw-output '.data[0].value')" = "$(value hello password)"
echo "the API and the Secret hold the same bytes"
"#,
        expect: &["\"type\":\"password\"", "the same bytes"],
    },
    Step {
        title: "Whoever has no right to it learns nothing, not even that it exists",
        commands: r#"api stranger --write-out '\n%{http_code}\n' "$URL/api/v1/data?name=/$NS/hello&current=true"
"#,
        expect: &["does not exist or you do not have sufficient authorization", "404"],
    },
    Step {
        title: "A new value, because somebody asks for one",
        commands: r#"before=$(value hello password)
kubectl annotate credential hello credsmith.dev/rotate-at="$(date --iso-8601=seconds)"
kubectl wait --for=jsonpath='{.status.currentVersion.number}'=2 --timeout=30s credential/hello
test "$(value hello password)" != "$before"
kubectl get credential hello
"#,
        expect: &["condition met", "InSync"],
    },
    Step {
        title: "A stranger edits the Secret: the value comes back, and an event names the stranger",
        commands: r#"before=$(value hello password)
kubectl patch secret hello --field-manager=curious-colleague --patch '{"stringData": {"password": "hunter2"}}'
same() { test "$(value hello password)" = "$before"; }
until_true same
repaired() { kubectl get events --field-selector=reason=DriftRepaired --output=jsonpath='{.items[*].message}' | grep curious-colleague; }
until_true repaired && repaired
"#,
        expect: &["Secret hello was changed by curious-colleague and is as it was"],
    },
    Step {
        title: "Deleted and applied again: the same bytes, and the API never stopped answering",
        commands: r#"before=$(value hello password)
kubectl delete credential hello
gone() { ! kubectl get secret hello; }
until_true gone
test "$(api app "$URL/api/v1/data?name=/$NS/hello&current=true" | jq --raw-output '.data[0].value')" = "$before"
echo "the object and its Secret are gone, the API still answers"
kubectl apply --filename deploy/samples/hello.yaml
kubectl wait --for=condition=Ready --timeout=30s credential/hello
cmp <(value hello password) <(printf '%s' "$before") && echo "byte for byte the same"
"#,
        expect: &["the API still answers", "byte for byte the same"],
    },
    Step {
        title: "A bad manifest is refused with the reason",
        commands: "! kubectl apply --filename deploy/samples/bad.yaml\n",
        expect: &["user may only stand with type user"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_name_the_cluster_that_was_used() {
        let own = closing(None, "demo-1");
        assert!(own.contains("  eval \"$(make -s env)\"\n") && own.contains("`make down` ends it"), "{own}");
        let named = closing(Some("kind-test"), "demo-1");
        assert!(named.contains("  eval \"$(make -s env CONTEXT=kind-test)\"\n"), "{named}");
        assert!(named.ends_with("`make down CONTEXT=kind-test` ends it."), "{named}");
        assert!(closing(Some("my cluster"), "demo-1").ends_with("`make down CONTEXT='my cluster'` ends it."));
    }

    #[test]
    fn the_namespace_is_marked_as_down_looks_for_it() {
        let (label, value) = crate::namespace::MADE_BY;
        assert!(STEPS[0].commands.contains(&format!("\"$NS\" {label}={value}\n")));
    }
}
