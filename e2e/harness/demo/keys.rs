//! The steps about keys and certificates, judged by programs that are not ours.

use std::{env, ffi::OsStr};

use anyhow::{Result, bail};

use super::Step;

/// Refuses to begin where a judge is missing: half a minute later it would be a line among many.
///
/// # Errors
/// Names the program, and the package of Debian that has it.
pub fn judges_are_here() -> Result<()> {
    missing(&env::var_os("PATH").unwrap_or_default())
}

fn missing(path: &OsStr) -> Result<()> {
    let is_here = |program: &str| env::split_paths(path).any(|dir| dir.join(program).is_file());
    let missing: Vec<_> = JUDGES.iter().filter(|(program, _)| !is_here(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    bail!(
        "the demo has its keys judged by programs that are not ours, of which there is no {}: on Debian, apt-get install {}",
        programs.join(" and no "),
        packages.join(" ")
    )
}

/// Programs, and the packages of Debian that have them.
const JUDGES: [(&str, &str); 2] = [("openssl", "openssl"), ("ssh-keygen", "openssh-client")];

/// `project` puts the keys of a Secret into files, as a workload has them mounted; they are gone when the step ends, and so is
/// whatever the step left running.
pub const PRELUDE: &str = r#"
umask 077
FILES=$(mktemp --directory)
ended() { kill $(jobs -p) 2>/dev/null; wait; rm -rf "$FILES"; }
trap 'ended || true' EXIT
project() { kubectl get secret "$1" --output json | jq --raw-output '.data | to_entries[] | "\(.key) \(.value)"' | while read -r key text; do base64 --decode <<< "$text" > "$FILES/$key"; done; cd "$FILES"; }
"#;

pub const STEPS: &[Step] = &[
    Step {
        title: "An RSA key, an SSH key, and a certificate authority with an intermediate and a server certificate, in any order",
        commands: r#"kubectl apply --filename deploy/samples/signing-key.yaml --filename deploy/samples/deploy-key.yaml --filename deploy/samples/shop-tls.yaml
kubectl wait --for=condition=Ready --timeout=30s credential/signing-key credential/deploy-key credential/shop-ca credential/shop-intermediate credential/shop-tls
"#,
        expect: &[
            "credential.credsmith.dev/signing-key condition met",
            "credential.credsmith.dev/deploy-key condition met",
            "credential.credsmith.dev/shop-tls condition met",
        ],
    },
    Step {
        title: "All seven types, and when each is made anew",
        commands: "kubectl get credentials\n",
        expect: &["password", "user", "value", "json", "rsa", "ssh", "certificate"],
    },
    Step {
        title: "openssl makes the same hash of the login's password",
        commands: r#"project orders-db
salt=$(cut --delimiter='$' --fields=3 password-hash)
test "$(openssl passwd -6 -salt "$salt" -stdin < password)" = "$(cat password-hash)" && echo "the same hash"
"#,
        expect: &["the same hash"],
    },
    Step {
        title: "openssl checks the RSA key",
        commands: r#"project signing-key
openssl rsa -check -noout -in private.pem
cmp <(openssl rsa -in private.pem -pubout) public.pem && echo "and the public half belongs to it"
"#,
        expect: &["RSA key ok", "and the public half belongs to it"],
    },
    Step {
        title: "ssh-keygen reads the SSH key, and sees the fingerprint that the Secret names",
        commands: r#"project deploy-key
ssh-keygen -l -f ssh-publickey
ssh-keygen -l -f ssh-publickey | grep --quiet --fixed-strings "SHA256:$(cat ssh-fingerprint) " && echo "the same fingerprint"
cmp <(ssh-keygen -y -f ssh-privatekey | cut --delimiter=' ' --fields=1,2) <(cut --delimiter=' ' --fields=1,2 ssh-publickey) && echo "one pair"
"#,
        expect: &["(ED25519)", "the same fingerprint", "one pair"],
    },
    Step {
        title: "openssl verifies the certificate over its intermediate to the root",
        commands: r#"project shop-tls
openssl crl2pkcs7 -nocrl -certfile tls.crt | openssl pkcs7 -print_certs -noout | grep .
openssl verify -purpose sslserver -verify_hostname www.shop.example -CAfile ca.crt -untrusted tls.crt tls.crt
"#,
        expect: &["Shop intermediate", "tls.crt: OK"],
    },
    Step {
        title: "A server and a client that share nothing but the Secret's files shake hands",
        commands: r#"project shop-tls
timeout 20 openssl s_server -accept 127.0.0.1:0 -cert tls.crt -cert_chain tls.crt -key tls.key -www > server.log 2>&1 &
until_true grep ACCEPT server.log
timeout 10 openssl s_client -connect "$(sed --quiet 's/^ACCEPT //p' server.log)" -CAfile ca.crt -verify_hostname shop.example -verify_return_error -brief < /dev/null
"#,
        expect: &["CONNECTION ESTABLISHED", "Verification: OK", "Verified peername: shop.example"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_a_judge_is_told_which_package_has_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let told = |path: &OsStr| missing(path).map_err(|error| error.to_string());
        let error = told(dir.path().as_os_str()).expect_err("there is nothing");
        assert!(error.contains("there is no openssl and no ssh-keygen"), "{error}");
        assert!(error.contains("apt-get install openssl openssh-client"), "{error}");
        std::fs::write(dir.path().join("openssl"), "").expect("a file");
        let error = told(dir.path().as_os_str()).expect_err("one is missing");
        assert!(error.contains("no ssh-keygen: on Debian, apt-get install openssh-client"), "{error}");
        std::fs::write(dir.path().join("ssh-keygen"), "").expect("a file");
        assert_eq!(told(dir.path().as_os_str()), Ok(()));
    }
}
